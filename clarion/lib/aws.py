"""Calls to AWS over our own HTTP client: signed by botocore, and what an error of AWS proves.

Knows AWS's protocols (JSON 1.0, Query), and nothing of what is sent with them. Why not its own client: ADR 23.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import msgspec
from pydantic import BaseModel, Field

from clarion.lib.fields import BaseUrl, HeaderSecret
from clarion.lib.http import Answer, HttpClient, garbled, raise_for_status, read_json
from clarion.lib.sending import InDoubt, Misconfigured, Refused, SendError, Throttled
from clarion.lib.validators import after

JSON = "application/x-amz-json-1.0"
FORM = "application/x-www-form-urlencoded; charset=utf-8"

REGION = re.compile(r"[a-z]{2}(-[a-z]{1,12}){1,3}-[0-9]{1,2}")
# Emulators have regions of their own (ElasticMQ: `elasticmq`). Wider would not fit into what is signed.
EMULATED_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
# IAM API reference, AccessKey: 16 to 128 word characters; all there have ever been are capitals and digits.
ACCESS_KEY = re.compile(r"[A-Z0-9]{16,128}")
# All there have ever been have 40 characters of base64.
ACCESS_SECRET = re.compile(r"[A-Za-z0-9/+=]{40}")
# How AWS names its errors; whatever else stands in its place is not repeated.
CODE = re.compile(r"[A-Za-z][\w.-]{0,79}", re.ASCII)
# Seconds. AWS refuses what is signed more than five minutes off its clock; near that, the clock is the reason.
SKEW = 240

# Our account, key, queue or topic: whatever is sent there would fail alike. Without `Exception` at its end.
OURS = frozenset(
    {"AccessDenied", "AuthFailure", "AuthorizationError", "ExpiredToken", "IncompleteSignature"}
    | {"InvalidAccessKeyId", "InvalidAction", "InvalidAddress", "InvalidClientTokenId", "InvalidSecurity"}
    | {"InvalidSignature", "MissingAuthenticationToken", "NotAuthorized", "NotFound", "OptInRequired"}
    | {"QueueDeletedRecently", "QueueDoesNotExist", "NonExistentQueue", "RequestExpired", "ResourceNotFound"}
    | {"SignatureDoesNotMatch", "UnrecognizedClient", "UnsupportedOperation"}
)
OF_THE_CLOCK = frozenset({"InvalidSignature", "RequestExpired", "SignatureDoesNotMatch"})
# Too much, and nothing was done; beside whatever has "throttl" in its name.
TOO_MUCH = frozenset(
    {"BandwidthLimitExceeded", "LimitExceeded", "OverLimit", "PriorRequestNotComplete"}
    | {"ProvisionedThroughputExceeded", "RequestLimitExceeded", "SlowDown", "TooManyRequests"}
)
THEIRS = frozenset({"InternalError", "InternalFailure", "InternalServerError"})


def _access_key(value: str) -> str:
    if not re.fullmatch(r"[\w.~+-]{1,128}", value, re.ASCII):
        raise ValueError("must be 1 to 128 letters, digits or _ . ~ + -")
    return value


class Access(BaseModel):
    """Who we are at AWS, and where it is: members of the settings of whatever goes there."""

    accessKey: Annotated[str, after(_access_key)] = Field(description="The id of the access key.")
    accessSecret: HeaderSecret = Field(description="The secret of the access key.")
    sessionToken: HeaderSecret | None = Field(
        default=None, description="The token that belongs to a temporary access key."
    )
    region: str = Field(min_length=1, max_length=64, description="The AWS region, as eu-west-1.")
    endpoint: BaseUrl | None = Field(
        default=None,
        description="Where AWS is instead of its usual place: an emulator, or an endpoint in a VPC.",
    )

    def oddities_of_access(self) -> list[str]:
        """Return a sentence for each member that AWS itself would not have given out."""
        if self.endpoint is not None:
            return []  # emulators take anything
        odd = []
        if not ACCESS_KEY.fullmatch(self.accessKey):
            odd.append("accessKey does not look like an access key of AWS")
        if not ACCESS_SECRET.fullmatch(self.accessSecret.get_secret_value()):
            odd.append("accessSecret does not look like a secret of AWS")
        if not REGION.fullmatch(self.region):
            odd.append("region is no AWS region")
        return odd


class Aws:
    """One service of AWS, for one access key."""

    def __init__(self, http: HttpClient, service: str, access: Access) -> None:
        self._http = http
        self._service = service
        self._region = access.region
        token = access.sessionToken
        self._secrets = (access.accessSecret.get_secret_value(), token.get_secret_value() if token else "")
        self._key = (access.accessKey, *self._secrets)
        suffix = "amazonaws.com.cn" if access.region.startswith("cn-") else "amazonaws.com"
        self._url = f"{access.endpoint or f'https://{service}.{access.region}.{suffix}'}/"
        allowed = REGION if access.endpoint is None else EMULATED_REGION
        self._has_region = allowed.fullmatch(access.region) is not None
        self._signer: Any = None

    async def call_json(self, target: str, body: Mapping[str, object]) -> tuple[Answer, Mapping[str, Any]]:
        """Call by JSON 1.0; return the answer, and the object in it.

        :raises SendError: one of the five kinds, by what AWS says
        """
        answer = await self._call(msgspec.json.encode(body), JSON, {"X-Amz-Target": target})
        match read_json(answer):
            case dict(content):
                return answer, content
        raise garbled(answer, "the body is no object")

    async def call_query(self, parameters: Mapping[str, str]) -> tuple[Answer, ElementTree.Element]:
        """Call by the Query protocol; return the answer, and its XML without namespaces.

        :raises SendError: one of the five kinds, by what AWS says
        """
        answer = await self._call(urlencode(parameters).encode(), FORM, {})
        content = _xml(answer)
        if content is None:
            raise garbled(answer, "the body is no XML that can be read")
        return answer, content

    async def _call(self, content: bytes, kind: str, headers: Mapping[str, str]) -> Answer:
        if not self._has_region:
            raise Misconfigured("the region is no AWS region", code="region")
        signed = self._signed(content, {"Content-Type": kind, **headers})
        answer = await self._http.post(
            self._url, content, kind=kind, headers=signed, secrets=tuple(filter(None, self._secrets))
        )
        if answer.status != 200:
            _raise(answer, signed.get("X-Amz-Date", ""))
        return answer

    def _signed(self, content: bytes, headers: dict[str, str]) -> dict[str, str]:
        """Return the headers that make it a signed request (Signature Version 4), without the Content-Type."""
        # Here, because importing them takes 170 ms, and few installations send to AWS.
        from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
        from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
        from botocore.credentials import Credentials  # type: ignore[import-untyped]

        if self._signer is None:
            access_key, secret, token = self._key
            credentials = Credentials(access_key, secret, token or None)
            self._signer = SigV4Auth(credentials, self._service, self._region)
        request = AWSRequest(method="POST", url=self._url, data=content, headers=headers)
        self._signer.add_auth(request)
        return {name: value for name, value in request.headers.items() if name != "Content-Type"}


def error_of(code: str, *, is_ours: bool, text: str = "", excerpt: str = "") -> SendError:
    """Return what a code of AWS proves; `is_ours`: AWS says that the fault is the sender's."""
    kind = _kind_of(code, text) or (Refused if is_ours else InDoubt)
    shown = _shown(code)
    return kind(f"AWS says {shown}" if shown else "AWS says no, and not why", code=shown, excerpt=excerpt)


def _kind_of(code: str, text: str) -> type[SendError] | None:
    """Return what this code proves whatever the status says; None for one that we have no rule for."""
    # SQS's older spelling has its name before it: AWS.SimpleQueueService.NonExistentQueue.
    name = code.rpartition(".")[2].removesuffix("Exception")
    if name in TOO_MUCH or "throttl" in name.lower():
        return Throttled
    if name in OURS or name.startswith(("KMS", "Kms")):
        return Misconfigured
    if name in THEIRS:
        return InDoubt
    # Which of the parameters is wrong stands in the sentence only. The place we send to is one for all.
    if name.startswith(("Invalid", "Validation", "Missing")) and re.search("TopicArn|QueueUrl", text[:300]):
        return Misconfigured
    return None


def _raise(answer: Answer, signed_at: str) -> None:
    """Raise what an answer that is not 200 proves.

    :raises SendError: always
    """
    code, text = _complaint(answer)
    kind = _kind_of(code, text)
    shown = _shown(code)
    if kind is None or not shown:
        try:
            raise_for_status(answer)
        except SendError as error:
            detail, wait = f"{error.detail} {shown}".strip(), error.retry_after
            raise type(error)(
                detail, code=shown or error.code, excerpt=error.excerpt, retry_after=wait
            ) from None
        raise garbled(answer, "AWS answers 200 when it has taken something")
    detail = f"AWS says {shown}"
    if shown.removesuffix("Exception") in OF_THE_CLOCK:
        detail += _skew(answer, signed_at)
    wait = answer.retry_after if kind is Throttled else None
    raise kind(detail, code=shown, excerpt=answer.excerpt, retry_after=wait)


def _complaint(answer: Answer) -> tuple[str, str]:
    """Return the code and the sentence of an error of either protocol; empty where there is none."""
    if answer.body.lstrip()[:1] == b"<":
        root = _xml(answer)
        if root is None:
            return "", ""
        return root.findtext(".//Error/Code") or "", root.findtext(".//Error/Message") or ""
    # com.amazonaws.sqs#QueueDoesNotExist; some add an address after a colon.
    name, text = answer.headers.get("x-amzn-errortype", ""), ""
    with suppress(InDoubt):
        match read_json(answer):
            case {"__type": str(name), "message": str(text)} | {"__type": str(name), "Message": str(text)}:
                pass
            case {"__type": str(name)}:
                pass
    return name.rpartition("#")[2].partition(":")[0], text


def _shown(code: str) -> str:
    return code if CODE.fullmatch(code) else ""


def _skew(answer: Answer, signed_at: str) -> str:
    """Return that our clock is wrong, where AWS's own says so."""
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", ""))
        ours = theirs.strptime(signed_at, "%Y%m%dT%H%M%SZ").replace(tzinfo=theirs.tzinfo)
        off = (ours - theirs).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return ""
    return f": our clock is {off:+.0f} s off theirs" if abs(off) >= SKEW else ""


def _xml(answer: Answer) -> ElementTree.Element | None:
    """Return the body as XML, its tags without namespaces; None when it is none, or not as AWS writes it."""
    try:
        text = answer.body.decode()
        # AWS declares no document type, and only a declared one has entities that could grow.
        if "<!" in text:
            return None
        # 64 kB at most, without entities; as text, so that no declared encoding hides anything.
        root = ElementTree.fromstring(text)  # noqa: S314 - see the two lines above
    except (ValueError, ElementTree.ParseError):
        return None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    return root


def members(content: ElementTree.Element, path: str) -> Iterator[dict[str, str]]:
    """Give each member of a list as what stands in it, by name."""
    for each in content.iterfind(f"{path}/member"):
        yield {child.tag: child.text or "" for child in each}
