"""Headers by which a receiver knows who sends: Standard Webhooks 1.0.0, `v1`, HMAC-SHA256 over id, moment and body."""

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
# Bytes: as many as the hash has; the standard asks for 24 at least.
LENGTH = 32


def new_secret() -> str:
    """Return a random secret in the form in which receivers take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(LENGTH)).decode()


def signed(secret: str, *, message_id: str, moment: int, body: bytes) -> dict[str, str]:
    """Return the three headers. `moment` is in seconds since 1970; the id holds no dot, and is the same in every try."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message_id}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
