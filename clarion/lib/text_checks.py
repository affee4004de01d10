"""What of a text can be known to fail for everybody, while somebody can still mend it.

A text that compiles may still name what nobody has, call a filter with the wrong arguments, or divide by zero. Such
a text is refused; one that may have a result for somebody is not: what a value will be like is not guessed at.
"""

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from typing import Any

from liquid import BoundTemplate, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, Filter, Path
from liquid.builtin.expressions.arguments import KeywordArgument
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalOrExpression
from liquid.builtin.output import OutputNode
from liquid.exceptions import FilterArgumentError, LiquidError
from liquid.expression import Expression
from liquid.token import Token

from clarion.lib.texts import (
    BadText,
    CannotRender,
    compile_text,
    expressions_of,
    filters_of,
    nodes_of,
    place_of,
    sentence_of,
)

# What the language itself knows: the moment of rendering.
_BUILT_IN = frozenset({"now", "today"})
# A value that is not known may be any of these. The text is one that every filter takes for a number as well.
_KINDS: tuple[Any, ...] = ("1", 1, ["1"])
# An expression with more unknown values than this is taken to have a result: each multiplies what would be tried.
_MOST_UNKNOWN = 4
# What decides for itself which of its parts it looks at; those are looked at one by one.
_CHOOSERS = (BooleanExpression, LogicalAndExpression, LogicalOrExpression)


def check_text(source: str, sample: Mapping[str, object]) -> None:
    """Refuse a text that has a result for nobody.

    `sample` holds every name that a text may use, with a value like those it will have; where that is a mapping,
    its members may have any name and be anything.

    :raises BadText:
    """
    text = compile_text(source)
    if text.template is None:
        return
    _check_names(text.template, source, sample)
    try:
        for node in nodes_of(text.template):
            for expression in expressions_of(node):
                _check_arguments(text.template, expression)
                _check_result(text.template, node, expression, sample)
    except LiquidError as error:
        raise BadText(sentence_of(error)) from error
    try:
        text.render({name: _Anything() if _is_open(value) else value for name, value in sample.items()})
    except CannotRender as error:
        if not error.depends_on_values:
            raise BadText(str(error)) from error


class _Anything(dict[str, object]):
    """A mapping that has every member."""

    def __missing__(self, name: str) -> object:
        return _KINDS[0]


class _Guess(RenderContext):
    """A context in which the values at these places of the text are known, whatever is looked up there."""

    __slots__ = ("guesses",)

    def __init__(
        self, template: BoundTemplate, sample: Mapping[str, object], guesses: dict[int, object]
    ) -> None:
        super().__init__(template, globals=sample)
        self.guesses = guesses

    def get(self, path: list[object], *, token: Token | None, **more: Any) -> object:
        if token is not None and token.start_index in self.guesses:
            return self.guesses[token.start_index]
        return super().get(path, token=token, **more)


def _check_names(template: BoundTemplate, source: str, sample: Mapping[str, object]) -> None:
    analysis = template.analyze(include_partials=False)
    known = {*sample, *_BUILT_IN, *analysis.locals}
    unknown = [use for name, uses in analysis.globals.items() if name not in known for use in uses]
    if unknown:
        first = min(unknown, key=lambda use: use.span.index)
        hint = _hint(str(first.segments[0]), sample)
        raise BadText(
            f"{place_of(source, first.span.index)}: {first.segments[0]!r} is not known here; {hint}"
        )


def _hint(name: str, sample: Mapping[str, object]) -> str:
    near = get_close_matches(name, sample, n=1)
    # Who leaves out where a member belongs.
    near += [f"{owner}.{name}" for owner, value in sample.items() if _is_open(value)]
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sample)}"


def _check_arguments(template: BoundTemplate, expression: Expression) -> None:
    """Refuse a filter with too few or too many arguments, in words that speak of the text."""
    for each in filters_of(expression):
        function = template.env.filters[each.name]
        try:
            inspect.signature(function).bind(None, *_given(each), **_named(each, function))
        except TypeError as error:
            raise FilterArgumentError(f"{each.name}: {error}", token=each.token) from error


def _given(called: Filter) -> Iterator[None]:
    return (None for argument in called.args if not isinstance(argument, KeywordArgument))


def _named(called: Filter, function: Any) -> dict[str, None]:
    given = {argument.name: None for argument in called.args if isinstance(argument, KeywordArgument)}
    # What the library adds by itself.
    ours = [name for name in ("context", "environment") if getattr(function, f"with_{name}", False)]
    return given | dict.fromkeys(ours)


def _check_result(
    template: BoundTemplate, node: Node, expression: Expression, sample: Mapping[str, object]
) -> None:
    """Refuse an expression that has no result, whatever the values in it are that nobody knows yet."""
    places = list(_unknown_places(expression, sample))
    if isinstance(expression, _CHOOSERS) or len(places) > _MOST_UNKNOWN:
        return
    is_written = isinstance(node, OutputNode) and expression is node.expression
    failure: Exception | None = None
    for kinds in product(_KINDS, repeat=len(places)):
        context = _Guess(template, sample, dict(zip(places, kinds, strict=True)))
        try:
            value = expression.evaluate(context)
            if is_written and "\x00" in str(value):
                raise LiquidError("the result holds a NUL character", token=expression.token)
            return
        except LiquidError as error:
            failure = failure or _placed(error, expression)
        except Exception as error:
            failure = failure or LiquidError(type(error).__name__, token=expression.token)
    if failure is not None:
        raise failure


def _placed(error: LiquidError, expression: Expression) -> LiquidError:
    error.token = error.token or expression.token
    return error


def _unknown_places(expression: Expression, sample: Mapping[str, object]) -> Iterator[int]:
    """Give where values stand that are set by the text itself, or are members of something open."""
    if isinstance(expression, Path):
        name = expression.head()
        if name not in _BUILT_IN and (name not in sample or (_is_open(sample[str(name)]))):
            yield expression.token.start_index
            return
    for child in expression.children():
        yield from _unknown_places(child, sample)


def _is_open(value: object) -> bool:
    return isinstance(value, Mapping)
