"""Texts that tenants write: Liquid, with limits, over plain values. Never a language that can call into Python."""

from collections.abc import Mapping
from functools import lru_cache

from liquid import Environment, StrictUndefined
from liquid.exceptions import LiquidError

# One text is a few hundred characters; these bounds stop what was written to hang or to fill the memory.
LONGEST_TEXT = 10_000
MOST_OUTPUT = 20_000
MOST_LOOPS = 1_000


class BadText(ValueError):
    """The text is no valid template. The message names line and reason."""


class CannotRender(ValueError):
    """The template is valid and has no result for these values."""


class _Bounded(Environment):
    output_stream_limit = MOST_OUTPUT
    loop_iteration_limit = MOST_LOOPS
    local_namespace_limit = MOST_OUTPUT
    context_depth_limit = 10


_ENVIRONMENT = _Bounded(undefined=StrictUndefined, autoescape=False)


class Text:
    """A text ready to be rendered. One without any `{` is returned as it is."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._template = None
        if "{{" in source or "{%" in source:
            try:
                self._template = _ENVIRONMENT.from_string(source)
            except LiquidError as error:
                raise BadText(_sentence(error)) from error

    def render(self, values: Mapping[str, object]) -> str:
        """Return the text for these values.

        :raises CannotRender: for a value that is not there, or a limit that was passed
        """
        if self._template is None:
            return self._source
        try:
            return self._template.render(**values)
        except LiquidError as error:
            raise CannotRender(_sentence(error)) from error


@lru_cache(maxsize=1024)
def compile_text(source: str) -> Text:
    """Return the text ready for use. Kept, because a mailing renders one text a million times.

    :raises BadText:
    """
    return Text(source)


def _sentence(error: LiquidError) -> str:
    # The library's own text may hold a picture of the source over several lines; the first one says it.
    first = (str(error).splitlines() or ["cannot be read"])[0]
    line = getattr(error, "lineno", None)
    return f"line {line}: {first}" if line else first
