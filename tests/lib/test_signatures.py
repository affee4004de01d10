"""Signatures of webhooks: what the standard's own example has, and secrets of the lengths that it names."""

import base64

import pytest

from clarion.lib.signatures import key_of, new_secret, signed

EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def headers_by(*secrets: str) -> dict[str, str]:
    """Sign what the standard's example has."""
    return signed(
        [key_of(secret) for secret in secrets],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        moment=1614265330,
        body=b'{"test": 2432232314}',
    )


def secret_of(length: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * length).decode()


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    assert headers_by(EXAMPLE) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_with_several_keys_each_signs_by_itself_in_their_order() -> None:
    (other,) = headers_by(secret_of(32))["webhook-signature"].split(" ")

    assert headers_by(EXAMPLE, secret_of(32))["webhook-signature"].split(" ") == [SIGNATURE, other]


def test_a_secret_of_ours_is_32_random_bytes() -> None:
    secrets = {new_secret() for _ in range(20)}

    assert len(secrets) == 20
    assert all(len(key_of(each)) == 32 for each in secrets)


@pytest.mark.parametrize("length", [24, 64])
def test_a_secret_stands_for_24_to_64_bytes(length: int) -> None:
    assert key_of(secret_of(length)) == b"k" * length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        secret_of(23),
        secret_of(65),
        secret_of(32).removeprefix("whsec_"),
        secret_of(32).upper(),
        f" {secret_of(32)}",
        f"{secret_of(32)}\n",
        secret_of(32).rstrip("="),
        secret_of(32).replace("a", "-", 1),
        "whsec_" + "ä" * 44,
        "whsec_" + "\ud800" * 44,
    ],
)
def test_what_is_no_secret_is_said_so_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be whsec_ and the base64 of 24 to 64 bytes$") as caught:
        key_of(text)

    assert caught.value.__context__ is None
