"""Texts that tenants write: Liquid, with limits, over plain values. Never a language that can call into Python."""

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from liquid import BoundTemplate, Environment, FalsyStrictUndefined, RenderContext, Undefined
from liquid.ast import Node
from liquid.builtin.expressions import Filter
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import FilterArgumentError, LiquidError, LiquidSyntaxError, ResourceLimitError
from liquid.expression import Expression
from liquid.stream import TokenStream
from liquid.token import Token

# One text is a few hundred characters; these bounds stop what was written to hang or to fill the memory.
LONGEST_TEXT = 10_000
MOST_OUTPUT = 20_000
# A loop goes through a few things somebody ordered. Measured: 1,000 rounds of the longest text keep a worker busy
# for 1.6 s, these for 0.2 s.
MOST_LOOPS = 100
# The library looks for the end of each place through all that follows. Measured: 5,000 of them open take it 3 s.
MOST_PLACES = 200
_PLACE = re.compile("{{|{%")


class BadText(ValueError):
    """The text can be made for nobody. The message names line, column and reason: "line 2, column 7: …"."""


class CannotRender(ValueError):
    """The template is valid and has no result for these values.

    `depends_on_values` is false where it can have none for others either: a limit was passed.
    """

    def __init__(self, sentence: str, *, depends_on_values: bool = False) -> None:
        super().__init__(sentence)
        self.depends_on_values = depends_on_values


class _Missing(FalsyStrictUndefined):
    """What there is no value for: to write it is an error, a condition about it is false, `default` replaces it."""

    force_liquid_default = True


class _Bounded(Environment):
    output_stream_limit = MOST_OUTPUT
    loop_iteration_limit = MOST_LOOPS
    local_namespace_limit = MOST_OUTPUT
    context_depth_limit = 10

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        # There are no other texts to take in.
        del self.tags["include"], self.tags["render"]
        for tag in self.tags.values():
            tag.parse = _located(tag.parse)  # type: ignore[method-assign]
        for name, function in self.filters.items():
            self.filters[name] = _bounded(name, function)


class Text:
    """A text ready to be rendered. One without any `{{` or `{%` has no template and is returned as it is."""

    def __init__(self, source: str) -> None:
        self._source = source
        self.template: BoundTemplate | None = None
        places = list(_PLACE.finditer(source))
        if len(places) > MOST_PLACES:
            where = place_of(source, places[MOST_PLACES].start())
            raise BadText(
                f"{where}: a text has at most {MOST_PLACES} places to fill in, it has {len(places)}"
            )
        if places:
            try:
                self.template = _ENVIRONMENT.from_string(source)
                _check(self.template)
            except LiquidError as error:
                raise BadText(sentence_of(error)) from error

    def render(self, values: Mapping[str, object]) -> str:
        """Return the text for these values.

        :raises CannotRender: for a value that is not there, or a limit that was passed
        """
        if self.template is None:
            return self._source
        try:
            text = self.template.render(**values)
            # Filters decode what no text literal can hold, and no database takes it.
            text.encode()
        except LiquidError as error:
            depends = not isinstance(error, ResourceLimitError | LiquidSyntaxError)
            raise CannotRender(sentence_of(error), depends_on_values=depends) from error
        except Exception as error:
            # Whatever a text provokes is the text's fault and must not stop those of others.
            raise CannotRender(f"{type(error).__name__} in what it makes") from error
        if "\x00" in text:
            raise CannotRender("the result holds a NUL character")
        return text


# A worker sends fewer mailings at once. One text takes up to 350 KiB once it is compiled.
@lru_cache(maxsize=128)
def compile_text(source: str) -> Text:
    """Return the text ready for use. Kept, because a mailing renders one text a million times.

    :raises BadText:
    """
    return Text(source)


def sentence_of(error: LiquidError) -> str:
    """Return an error of the library in one line, with its place where it has one."""
    # The library's own text holds a picture of the source over several lines.
    first = str(error.message or "cannot be read").splitlines()[0]
    token = error.token
    return f"{place_of(token.source, token.start_index)}: {first}" if token and _has_place(token) else first


def place_of(source: str, index: int) -> str:
    """Return "line 2, column 7" for a character of a text. Both begin with 1; a column is a character."""
    line = source.count("\n", 0, index) + 1
    column = index - source.rfind("\n", 0, index)
    return f"line {line}, column {column}"


def nodes_of(template: BoundTemplate) -> Iterator[Node]:
    """Give every tag and place of a template, however deep."""
    context = RenderContext(template)
    waiting = list(template.nodes)
    while waiting:
        node = waiting.pop()
        waiting.extend(node.children(context, include_partials=False))
        yield node


def expressions_of(node: Node) -> Iterator[Expression]:
    """Give every expression of one tag or place, however deep."""
    waiting = list(node.expressions())
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting.extend(expression.children())


def filters_of(expression: Expression) -> Sequence[Filter]:
    return getattr(expression, "filters", None) or ()


def _check(template: BoundTemplate) -> None:
    """Find while somebody can still mend it what would fail, or swell, for every customer alike."""
    for node in nodes_of(template):
        for expression in expressions_of(node):
            if isinstance(expression, RangeLiteral):
                _check_range(expression)
            for each in filters_of(expression):
                each.validate_filter_arguments(template.env)


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
        if name != "default":
            _refuse_missing(value, *arguments)
        if name == "replace":
            old, new = (str(argument) for argument in (*arguments, "", "")[:2])
            _refuse_beyond(str(value).count(old) * len(new))
        try:
            result = function(value, *arguments, **named)
        except (ArithmeticError, ValueError) as error:
            # The library lets arithmetic through (rounding infinity, summing words), and would not say where.
            raise FilterArgumentError(f"{name}: {type(error).__name__}", token=None) from error
        if isinstance(result, str | list | tuple):
            _refuse_beyond(len(result))
        return result

    return within


def _refuse_missing(*values: Any) -> None:
    # A few filters would take it for an empty text (`date`).
    for value in values:
        if isinstance(value, Undefined):
            value.poke()


def _refuse_beyond(size: int) -> None:
    if size > MOST_OUTPUT:
        raise ResourceLimitError(f"a filter makes more than {MOST_OUTPUT} characters", token=None)


def _located(parse: Callable[[TokenStream], Any]) -> Any:
    """Let a tag be blamed for what it needs and the text ends without; the library would name no place."""

    def within(stream: TokenStream) -> Any:
        opening = stream.current
        try:
            return parse(stream)
        except LiquidError as error:
            if not _has_place(error.token):
                error.token = opening
            raise
        except RecursionError as error:
            raise LiquidSyntaxError("is nested too deeply", token=opening) from error

    return within


def _has_place(token: Token | None) -> bool:
    return token is not None and token.start_index >= 0


_ENVIRONMENT = _Bounded(undefined=_Missing, autoescape=False)
