"""Secrets in settings: hidden where they are shown, put back where what was shown is sent, whatever they are in."""

from typing import Any

from pydantic import AliasChoices, BaseModel, Field, SecretStr

from clarion.lib.masks import MASK, hidden, hidden_all, masks_in, restored


class Part(BaseModel):
    key: SecretStr
    until: str


class Settings(BaseModel):
    """Secrets in every place in which settings may have them."""

    url: str
    secret: SecretStr | None = None
    token: SecretStr | None = Field(default=None, validation_alias=AliasChoices("token", "oldToken"))
    headers: dict[str, SecretStr] = {}
    parts: tuple[Part, ...] = ()


CLEAR: dict[str, Any] = {
    "url": "same",
    "secret": "same",
    "oldToken": "t",
    "headers": {"X-Key": "k", "X-Other": "o"},
    "parts": [{"key": "p", "until": "then"}],
}
SHOWN: dict[str, Any] = {
    "url": "same",
    "secret": MASK,
    "oldToken": MASK,
    "headers": {"X-Key": MASK, "X-Other": MASK},
    "parts": [{"key": MASK, "until": "then"}],
}


def test_a_secret_is_hidden_by_its_place_and_not_by_its_value() -> None:
    assert hidden(Settings(**CLEAR), CLEAR) == SHOWN


def test_what_nobody_has_seen_yet_is_left() -> None:
    assert hidden(Settings(**CLEAR), CLEAR, but={"secret"})["secret"] == "same"


def test_what_was_shown_is_put_back() -> None:
    assert restored(SHOWN, Settings(**CLEAR), CLEAR) == CLEAR


def test_what_was_sent_anew_stays() -> None:
    sent = {**SHOWN, "secret": "new", "headers": {"X-Key": "other"}}

    back = restored(sent, Settings(**CLEAR), CLEAR)

    assert (back["secret"], back["headers"], back["oldToken"]) == ("new", {"X-Key": "other"}, "t")


def test_a_mask_with_nothing_behind_it_stays_and_is_found() -> None:
    sent = {"url": MASK, "secret": MASK, "headers": {"X-New": MASK}, "parts": [{"key": MASK, "until": "x"}]}
    kept = {"url": "same"}

    back = restored(sent, Settings(**kept), kept)

    assert back == sent
    assert set(masks_in(Settings(**back), back)) == {("secret",), ("headers", "X-New"), ("parts", 0, "key")}


def test_of_settings_that_nobody_understands_every_text_is_hidden() -> None:
    assert hidden_all({"a": "x", "b": [{"c": "y"}, 1]}) == {"a": MASK, "b": [{"c": MASK}, 1]}
