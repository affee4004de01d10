"""Texts that tenants write: Liquid, with limits, over plain values. Never a language that can call into Python."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, RenderContext, StrictUndefined
from liquid.ast import Node
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.expression import Expression

# One text is a few hundred characters; these bounds stop what was written to hang or to fill the memory.
LONGEST_TEXT = 10_000
MOST_OUTPUT = 20_000
# No value is a list, so a loop has little to do. Measured: 1,000 rounds of the longest text keep a worker busy for
# 1.6 s, these for 0.2 s.
MOST_LOOPS = 100
# The library looks for the end of each place through all that follows. Measured: 5,000 of them open take it 3 s.
MOST_PLACES = 200


class BadText(ValueError):
    """The text is no valid template. The message names the reason, and the line where the parser knows it."""


class CannotRender(ValueError):
    """The template is valid and has no result for these values."""


class _Bounded(Environment):
    output_stream_limit = MOST_OUTPUT
    loop_iteration_limit = MOST_LOOPS
    local_namespace_limit = MOST_OUTPUT
    context_depth_limit = 10

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # There are no other texts to take in.
        del self.tags["include"], self.tags["render"]
        for name, function in self.filters.items():
            self.filters[name] = _bounded(name, function)


class Text:
    """A text ready to be rendered. One without any `{{` or `{%` is returned as it is."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._template = None
        places = source.count("{{") + source.count("{%")
        if places > MOST_PLACES:
            raise BadText(f"a text has at most {MOST_PLACES} places to fill in; this one has {places}")
        if places:
            try:
                self._template = _ENVIRONMENT.from_string(source)
                _check(self._template)
            except LiquidError as error:
                raise BadText(_sentence(error)) from error

    def render(self, values: Mapping[str, object]) -> str:
        """Return the text for these values.

        :raises CannotRender: for a value that is not there, or a limit that was passed
        """
        if self._template is None:
            return self._source
        try:
            text = self._template.render(**values)
            # Filters decode what no text literal can hold, and no database takes it.
            text.encode()
        except LiquidError as error:
            raise CannotRender(_sentence(error)) from error
        except Exception as error:
            # The library lets arithmetic of its filters through (rounding infinity, summing words). Whatever a
            # text provokes is the text's fault and must not stop those of others.
            raise CannotRender(f"{type(error).__name__} in a filter") from error
        if "\x00" in text:
            raise CannotRender("the result holds a NUL character")
        return text


@lru_cache(maxsize=1024)
def compile_text(source: str) -> Text:
    """Return the text ready for use. Kept, because a mailing renders one text a million times.

    :raises BadText:
    """
    return Text(source)


def _check(template: BoundTemplate) -> None:
    """Find while somebody can still mend it what would fail, or swell, for every customer alike."""
    context = RenderContext(template)
    nodes = list(template.nodes)
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children(context, include_partials=False))
        for expression in _expressions(node):
            if isinstance(expression, RangeLiteral):
                _check_range(expression)
            for each in (*_of(expression, "filters"), *_of(expression, "tail_filters")):
                each.validate_filter_arguments(template.env)


def _expressions(node: Node) -> Iterator[Expression]:
    waiting = list(node.expressions())
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting.extend(expression.children())


def _of(expression: Expression, name: str) -> Sequence[Any]:
    return getattr(expression, name, None) or ()


def _check_range(numbers: RangeLiteral) -> None:
    # The library's limits count what a loop takes from a range, not what a filter makes of it.
    first, last = (getattr(end, "value", None) for end in (numbers.start, numbers.stop))
    if not isinstance(first, int) or not isinstance(last, int):
        raise LiquidError("a range goes from one written number to another", token=numbers.token)
    if last - first >= MOST_LOOPS:
        raise LiquidError(f"a range has at most {MOST_LOOPS} numbers", token=numbers.token)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep a filter from making more of a text than a text may be; the library bounds what is kept, not what is made."""

    @functools.wraps(function)
    def within(value: Any, *arguments: Any, **named: Any) -> Any:
        if name == "replace":
            old, new = (str(argument) for argument in (*arguments, "", "")[:2])
            _refuse_beyond(str(value).count(old) * len(new))
        result = function(value, *arguments, **named)
        if isinstance(result, str | list | tuple):
            _refuse_beyond(len(result))
        return result

    return within


def _refuse_beyond(size: int) -> None:
    if size > MOST_OUTPUT:
        raise ResourceLimitError(f"a filter makes more than {MOST_OUTPUT} characters", token=None)


def _sentence(error: LiquidError) -> str:
    # The library's own text holds a picture of the source over several lines.
    first = str(error.message or "cannot be read").splitlines()[0]
    token = error.token
    if token is None or token.start_index < 0:
        return first
    line = token.source.count("\n", 0, token.start_index) + 1
    return f"line {line}: {first}"


_ENVIRONMENT = _Bounded(undefined=StrictUndefined, autoescape=False)
