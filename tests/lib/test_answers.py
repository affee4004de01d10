"""What an answer proves: its status, its Retry-After, its JSON, and the excerpt that is kept of it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from clarion.lib.http import Answer, raise_for_status, read_json
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Refused, SendError, Throttled

NOON = "Mon, 01 Jan 2024 12:00:00 GMT"
ONE_MINUTE_LATER = "Mon, 01 Jan 2024 12:01:00 GMT"


def an_answer(status: int = 200, body: bytes = b"", secrets: tuple[str, ...] = (), **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, CIMultiDict(named), secrets)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226])
def test_a_2xx_raises_nothing(status):
    raise_for_status(an_answer(status))


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (Throttled, [429]),
        (NotSent, [503]),
        (InDoubt, [408, 500, 501, 502, 504, 507, 599, 101, 600, 999]),
        (Misconfigured, [300, 301, 302, 303, 304, 307, 308, 401, 403, 404, 405]),
        (Refused, [400, 402, 406, 409, 410, 413, 415, 422, 451, 499]),
    ],
)
def test_every_other_status_is_exactly_one_error(kind, statuses):
    for status in statuses:
        with pytest.raises(SendError) as caught:
            raise_for_status(an_answer(status, b"because"))

        assert type(caught.value) is kind, status
        assert (caught.value.code, caught.value.excerpt) == (str(status), "because")


def test_a_503_that_says_when_is_throttled_and_one_that_does_not_did_nothing():
    with pytest.raises(Throttled) as caught:
        raise_for_status(an_answer(503, retry_after="7"))
    assert caught.value.retry_after == 7

    with pytest.raises(NotSent):
        raise_for_status(an_answer(503, retry_after="soon"))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        (" 1.5 ", 1.5),
        ("90000", 86400),  # a day at most
        (ONE_MINUTE_LATER, 60),
        ("Sat, 06 Jan 2024 12:00:00 GMT", 86400),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e3", None),
        ("١٢", None),
        ("9" * 11, None),
        ("9999999999", None),
        ("9" * 5000, None),
        ("Sun, 31 Dec 2023 12:00:00 GMT", None),  # past
        ("Mon, 01 Jan 9999 12:00:00 GMT", None),
        ("Mon, 32 Foo 2024 99:99:99 GMT", None),
        ("tomorrow", None),
        ("\x00", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_or_nothing(said, seconds):
    assert an_answer(429, date=NOON, retry_after=said).retry_after == seconds


def test_a_date_without_the_answers_own_clock_is_read_against_ours():
    assert an_answer(429, retry_after=NOON).retry_after is None


@given(st.text())
def test_no_retry_after_breaks_anything(said):
    wait = an_answer(429, retry_after=said, date=said).retry_after

    assert wait is None or 0 <= wait <= 86400


GARBAGE = [
    b"",
    b"<html></html>",
    b'{"code":0,"mess',
    b'{"code":1,"code":0,"message":"OK"}',
    b'{"code":NaN}',
    b"-Infinity",
    b"[" * 60_000,
    b'{"a":' * 10_000,
    b"9" * 60_000,
    '{"code":0}'.encode("utf-16"),
    b'{"message":"\xff"}',
    b'{"code":0}\x00',
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_leaves_us_in_doubt(body):
    with pytest.raises(InDoubt) as caught:
        read_json(an_answer(200, body))

    assert caught.value.code == "200"
    assert len(caught.value.excerpt.encode()) <= 2048


@given(st.binary())
def test_whatever_the_body_it_is_json_or_doubt(body):
    with suppress(InDoubt):
        read_json(an_answer(200, body))


def test_json_is_read():
    assert read_json(an_answer(200, b' {"code": 0, "message": "OK"}\n')) == {"code": 0, "message": "OK"}


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        ("Привет".encode(), "Привет"),
        (b"a\x00b\x1b[31m\r\n", r"a\x00b\x1b[31m\r\n"),
        (b"\xff\xfe", r"\xff\xfe"),
        ("\u202egnp\u2028".encode(), r"\u202egnp\u2028"),
    ],
)
def test_an_excerpt_shows_what_cannot_be_seen(body, excerpt):
    assert an_answer(400, body).excerpt == excerpt


@given(st.binary(max_size=9000))
def test_an_excerpt_is_printable_and_2_kB_at_most(body):
    excerpt = an_answer(400, body).excerpt

    assert excerpt.isprintable()
    assert len(excerpt.encode()) <= 2048


def test_an_excerpt_masks_the_secrets_it_was_told():
    echoed = b'{"header":"Bearer se/cret","json":"se\\/cret"}'

    answer = an_answer(400, echoed, secrets=("se/cret", ""))

    assert answer.excerpt == '{"header":"Bearer ********","json":"********"}'
    assert "cret" not in repr(answer)
