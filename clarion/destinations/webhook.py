"""A POST to somebody's URL, signed as Standard Webhooks has it (`lib/signatures.py`)."""

import functools
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, SecretStr

from clarion.destinations import Destination, Parcel
from clarion.lib.fields import WholeUrl
from clarion.lib.http import OWN_HEADERS, Answer, HttpClient
from clarion.lib.sending import Gone, InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError, Throttled
from clarion.lib.signatures import PREFIX, key_of, new_secret, signed
from clarion.lib.times import wire_time
from clarion.lib.validators import after

# How long the secret before this one signs, too: a day in which the receiver takes over the new one.
ROTATION = timedelta(hours=24)
# Former secrets that sign at once, the newest: each is 48 bytes of a header, and nobody rotates so often.
MOST_OLD = 8

# Seconds for a whole answer: what Standard Webhooks recommends, at least and at most.
TIMEOUT, LONGEST_TIMEOUT = 15.0, 30.0
# More than these and a usual server refuses the request's head (8 kB).
MOST_HEADERS, LONGEST_VALUE = 20, 1024

HEADER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
NOT_THEIRS = OWN_HEADERS | {"accept", "user-agent"}
NOT_THEIR_PREFIXES = ("webhook-", "clarion-")
# Shorter texts are no secrets, and masking them would make an answer unreadable; of a path, as `/events`, more so.
SHORTEST_MASKED, SHORTEST_PATH_MASKED = 4, 16
# Characters of an attribute that goes along as a header; whatever is longer stands in the body only.
LONGEST_ATTRIBUTE = 256


def _secret(value: SecretStr) -> SecretStr:
    _key(value)
    return value


def _key(secret: SecretStr) -> bytes:
    return key_of(secret.get_secret_value())


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    if len(headers) > MOST_HEADERS:
        raise ValueError(f"must be at most {MOST_HEADERS} headers")
    if len({name.lower() for name in headers}) < len(headers):
        raise ValueError("must not name a header twice")
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise ValueError("must have names of letters, digits, - and _, at most 64 of them")
        if name.lower() in NOT_THEIRS or name.lower().startswith(NOT_THEIR_PREFIXES):
            raise ValueError(f"must not set {name}: it is ours to set")
        text = value.get_secret_value()
        if not HEADER_VALUE.fullmatch(text) or len(text) > LONGEST_VALUE:
            raise ValueError(
                f"{name} must be 1 to {LONGEST_VALUE} printable ASCII characters, no space around it"
            )
    return headers


Secret = Annotated[SecretStr, after(_secret)]


class OldSecret(BaseModel):
    """A secret that another took the place of; it signs until `until`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: Secret = Field(description="The former secret.")
    until: AwareDatetime = Field(description="Until when it signs, too.")


class Webhook(Destination):
    """The same id in every try, so that a receiver who remembers ids takes each parcel once."""

    kind = "webhook"
    signs_with = frozenset({"secret", "oldSecrets"})

    class Config(Destination.Config):
        """Where the receiver is, and how it knows that it is us."""

        # Often the whole of what protects a receiver: it is shown to whoever may read the settings, and nowhere else.
        url: WholeUrl = Field(max_length=2048, repr=False, description="Where to POST to, with its query.")
        secret: Secret | None = Field(
            default=None, description="Signs, as whsec_ and base64; made when none is sent."
        )
        headers: Annotated[dict[str, SecretStr], after(_headers)] = Field(
            default_factory=dict, description="Sent along with each request. Their values are secrets."
        )
        timeout: float = Field(
            default=TIMEOUT, gt=0, le=LONGEST_TIMEOUT, description="Seconds to wait for a whole answer."
        )
        oldSecrets: tuple[OldSecret, ...] = Field(
            default=(),
            json_schema_extra={"readOnly": True},
            description="Former secrets that still sign. Read-only: what is sent here is not taken.",
        )

        def oddities(self) -> list[str]:
            """Say that anybody on the way can read what goes out."""
            return ["url is not https"] if self.url.lower().startswith("http:") else []

    config: Config

    def __init__(self, config: Config, http: HttpClient) -> None:
        super().__init__(config, http)
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self._keys = [_key(config.secret)] if config.secret is not None else []
        self._old_keys = [(_key(each.secret), each.until) for each in config.oldSecrets]
        self._secrets = _to_mask(config.url, [*self._headers.values(), *_secrets_of(config)])

    @classmethod
    def completed(
        cls, settings: Mapping[str, Any], stored: Mapping[str, Any] | None, now: datetime
    ) -> dict[str, Any]:
        """Return the settings with a secret, the stored one if there is; and with those before it that still sign."""
        before = stored or {}
        kept = {name: value for name, value in settings.items() if name != "oldSecrets"}
        if kept.get("secret") is None:
            kept["secret"] = before.get("secret") or new_secret()
        old = [each for each in before.get("oldSecrets", ()) if datetime.fromisoformat(each["until"]) > now]
        if before.get("secret"):
            old.insert(0, {"secret": before["secret"], "until": wire_time(now + ROTATION)})
        signing = {kept["secret"]} if isinstance(kept["secret"], str) else set()
        former = []
        for each in old:
            if each["secret"] not in signing:
                signing.add(each["secret"])
                former.append(each)
        return {**kept, "oldSecrets": former[:MOST_OLD]} if former else kept

    async def send(self, parcel: Parcel) -> Receipt:
        """POST the parcel's body, once."""
        if not self._keys:
            raise Misconfigured("there is no secret to sign with", code="secret")
        try:
            body = parcel.body.encode()
        except UnicodeEncodeError:
            raise Refused("the body cannot be written as UTF-8", code="text") from None
        moment = int(parcel.at.timestamp())
        keys = [*self._keys, *(key for key, until in self._old_keys if until > parcel.at)]
        headers = {
            **self._headers,
            **dict(_as_headers(parcel.attributes)),
            **signed(keys, message_id=parcel.id, moment=moment, body=body),
        }
        answer = await self.http.post(
            self.config.url, body, headers=headers, timeout=self.config.timeout, secrets=self._secrets
        )
        if 200 <= answer.status < 300:
            return Receipt(code=str(answer.status))
        raise _failure(answer)


def _secrets_of(config: Webhook.Config) -> list[str]:
    """Return the secrets that sign, each with and without what stands before all of them."""
    found = [each.secret for each in config.oldSecrets] + ([config.secret] if config.secret else [])
    whole = [each.get_secret_value() for each in found]
    return whole + [each.removeprefix(PREFIX) for each in whole]


def _to_mask(url: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Return what no answer may repeat to whoever reads it here; the longest first, in which others may be."""
    path = url.partition("://")[2].partition("/")[2]
    hidden = {url, *(each for each in texts if len(each) >= SHORTEST_MASKED)}
    if len(path) >= SHORTEST_PATH_MASKED:
        hidden.add(path)
    return tuple(sorted(hidden, key=len, reverse=True))


def _failure(answer: Answer) -> SendError:
    """Return what a status proves. No mere status closes a lane for good: receivers break, and are mended."""
    status, wait = answer.status, answer.retry_after
    kind: type[SendError] = InDoubt
    if status == 410:
        kind = Gone
    elif status == 429 or (status in (502, 503, 504) and wait is not None):
        kind = Throttled
    # A redirect is not followed: where it leads to is not where we were told to send to.
    elif 300 <= status < 500 or status == 503:
        kind = NotSent
    return kind(
        f"HTTP {status}",
        code=str(status),
        excerpt=answer.excerpt,
        retry_after=wait if kind is Throttled else None,
    )


def _as_headers(attributes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the attributes that can be headers: `event_id` is Clarion-Event-Id. The body has them all."""
    found = []
    for name, value in attributes.items():
        header = _header(name)
        if header and HEADER_VALUE.fullmatch(value) and len(value) <= LONGEST_ATTRIBUTE:
            found.append((header, value))
    return found[:MOST_HEADERS]


@functools.lru_cache(maxsize=256)  # names come from our code; to make one takes longer than to sign
def _header(name: str) -> str:
    """Return the header by which an attribute goes along; an empty text where it cannot."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).replace("_", "-").split("-")
    header = "-".join(["Clarion", *(word.capitalize() for word in words)])
    return header if HEADER_NAME.fullmatch(header) else ""
