"""Signatures of webhooks: what the standard's own example has, and secrets of the length it asks for."""

import base64

from clarion.lib.signatures import new_secret, signed


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    headers = signed(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        moment=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_secret_is_32_random_bytes() -> None:
    secrets = {new_secret() for _ in range(20)}

    assert len(secrets) == 20
    assert all(len(base64.b64decode(each.removeprefix("whsec_"), validate=True)) == 32 for each in secrets)
