"""What holds for every request: an id, a line in the log, a plain path, a host that is ours, an error a client can read."""

import logging
import random
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase
from prometheus_client import Counter, Histogram

from clarion.api.problems import problem_response

log = structlog.get_logger()
# Django writes a traceback of what it answers with 500; ours names the request id beside it.
logging.getLogger("django.request").setLevel(logging.CRITICAL)

Handler = Callable[[HttpRequest], HttpResponseBase]

REQUESTS = Counter("clarion_http_requests_total", "Requests answered.", ["method", "status"])
SECONDS = Histogram("clarion_http_request_seconds", "Time from the request's last byte to the answer.")

# Taken over from the caller when it is harmless in a log and a header; else one is made.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
# An id is no secret, and the system's own random bits take a look at another thread with each.
_ids = random.Random()  # noqa: S311
# These belong to Django's own pages, which know one spelling.
_DJANGO_PAGES = ("/admin/", "/static/")
# The names of this machine: in development mode there are no others, whatever CLARION_ALLOWED_HOSTS says.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# What is counted by its own name; a caller may make up others.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestContext:
    """Gives each request its id, in the answer and in every log line; writes one line and one count per answer."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request.headers.get("X-Request-Id", ""))
        request.request_id = request_id  # type: ignore[attr-defined]
        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self._handler(request)
            if response.status_code == 405 and not response.headers.get("Content-Type", "").endswith("json"):
                response = _not_served(request, response)
            seconds = time.perf_counter() - began
            response.headers["X-Request-Id"] = request_id
            if response.status_code == 204:
                # Nothing follows, so nothing is said about it (RFC 9110 §8.6).
                del response.headers["Content-Type"], response.headers["Content-Length"]
            elif not response.streaming:
                response.headers["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined]
            log.info(
                "request",
                method=request.method,
                path=request.path,
                status=response.status_code,
                ms=round(seconds * 1000, 1),
            )
        method = request.method if request.method in METHODS else "other"
        REQUESTS.labels(method, str(response.status_code)).inc()
        SECONDS.observe(seconds)
        return response


class PlainPaths:
    """Lets every path of the API answer with and without a trailing slash, without a redirect."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if path == "/admin":
            request.path_info = "/admin/"
        elif len(path) > 1 and path.endswith("/") and not path.startswith(_DJANGO_PAGES):
            request.path_info = path[:-1]
        return self._handler(request)


class OwnHosts:
    """Refuses a Host that is not ours and, in development mode, a page of another site that calls us.

    In development mode no credential is needed; without this rule any web page could drive the hub through the
    developer's browser (DNS rebinding, cross-site requests).
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            host = request.get_host()
        except DisallowedHost:
            host = ""
        if not host or not _may_be_named(host):
            return problem_response(request, 400, "host_not_allowed", "This Host is not one of ours.")
        if not _may_call(request.headers.get("Origin", "")):
            return problem_response(request, 403, "cross_site", "Another site's pages may not call this hub.")
        return self._handler(request)


def request_id_of(given: str) -> str:
    """Return the id a request goes by: the caller's own, or a new one where that is missing or unfit."""
    if given and _REQUEST_ID.fullmatch(given):
        return given
    return f"req_{_ids.getrandbits(128):032x}"


def is_own_host(host: str, origin: str) -> bool:
    """Whether these two headers pass what `OwnHosts` asks."""
    name, _ = split_domain_port(host)
    is_ours = bool(name) and validate_host(name, settings.ALLOWED_HOSTS)
    return is_ours and _may_be_named(host) and _may_call(origin)


def _may_be_named(host: str) -> bool:
    """Whether a host that the settings allow is allowed in this mode."""
    return not settings.CLARION.dev or _is_local(f"//{host}")


def _may_call(origin: str) -> bool:
    """Whether a page from there may call; "" is no page."""
    return not settings.CLARION.dev or not origin or _is_local(origin)


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host in LOCAL_HOSTS


def _not_served(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    allowed = ", ".join(sorted(response.headers.get("Allow", "").split(", ")))
    detail = f"{request.method} is not served here." + (f" Served: {allowed}." if allowed else "")
    answer = problem_response(request, 405, "method_not_served", detail)
    if allowed:
        answer.headers["Allow"] = allowed
    return answer
