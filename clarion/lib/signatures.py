"""Headers by which a receiver knows who sends: Standard Webhooks 1.0.0, `v1`, HMAC-SHA256 over id, moment and body."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
# Bytes of a secret (Standard Webhooks, "signature scheme"); ours have as many as the hash.
SHORTEST, LONGEST, OURS = 24, 64, 32


def new_secret() -> str:
    """Return a random secret in the form in which receivers take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(OURS)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes that a secret stands for, to sign with.

    :raises ValueError: it is none; the text says what one is, and nothing of this one
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:  # not base64, or not ASCII
        key = b""
    if not secret.startswith(PREFIX) or not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"must be {PREFIX} and the base64 of {SHORTEST} to {LONGEST} bytes")
    return key


def signed(keys: Sequence[bytes], *, message_id: str, moment: int, body: bytes) -> dict[str, str]:
    """Return the three headers, with a signature by each key: whoever has one of them can verify.

    `moment` is in seconds since 1970; the id holds no dot, and is the same in every try.
    """
    content = f"{message_id}.{moment}.".encode() + body
    digests = [hmac.digest(key, content, hashlib.sha256) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests),
    }
