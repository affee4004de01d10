"""What the fields of a customer may be, whoever brings them: a caller of the API, or a row of a file."""

from typing import Annotated, Any

from pydantic import Field

from clarion.lib.comparable import complaint_of_text, fold
from clarion.lib.validators import after

# Longer than any text there is; what is too long says so by the limit of its own field.
_NO_LIMIT = 2**31


def _plain(value: str) -> str:
    """Texts that every database can keep: no NUL, no half of a surrogate pair."""
    if sentence := complaint_of_text(value, _NO_LIMIT):
        raise ValueError(sentence)
    return value


def _fits(length: int) -> Any:
    """Limit the form in which a label is compared: folding makes some texts longer (ß becomes ss)."""

    def check(value: str) -> str:
        if len(fold(value)) > length:
            raise ValueError(f"must have at most {length} characters, also when its case is ignored")
        return value

    return after(check)


# The limit first: of what is too long nothing else need be looked at.
_PLAIN = after(_plain)

Text = Annotated[str, _PLAIN]
Phone = Annotated[str, Field(pattern=r"^7[0-9]{10}$", examples=["70000000000"]), _PLAIN]
Operator = Annotated[str, Field(min_length=1, max_length=64), _PLAIN, _fits(64)]
Tag = Annotated[str, Field(max_length=255), _PLAIN, _fits(255)]
Zone = Annotated[str, Field(max_length=64, examples=["Europe/Berlin"]), _PLAIN]
ExternalId = Annotated[str, Field(min_length=1, max_length=255), _PLAIN]
