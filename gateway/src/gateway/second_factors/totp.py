"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, steps of thirty seconds.

Those are the parameters that every authenticator application knows.
"""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote

DIGITS = 6
STEP_S = 30
_SECRET_BYTES = 20
_DRIFT = (0, -1, 1)


def new_secret() -> bytes:
    """Return a fresh shared secret."""
    return secrets.token_bytes(_SECRET_BYTES)


def shown(secret: bytes) -> str:
    """Return a secret as people type it."""
    return base64.b32encode(secret).decode()


def uri(secret: bytes, account: str, issuer: str) -> str:
    """Return the address that an authenticator application reads from a QR code."""
    label = f"{quote(issuer)}:{quote(account)}"
    return f"otpauth://totp/{label}?secret={shown(secret)}&issuer={quote(issuer)}"


def step_of(moment: datetime) -> int:
    """Return the number of the step that a moment falls into."""
    return int(moment.timestamp()) // STEP_S


def code_of(secret: bytes, step: int) -> str:
    """Return the code of one step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def matching_step(secret: bytes, code: str, moment: datetime) -> int | None:
    """Return the step whose code this is: the present one, or a neighbour for a clock awry."""
    present = step_of(moment)
    steps = (present + drift for drift in _DRIFT)
    given = code.encode()
    return next(
        (step for step in steps if hmac.compare_digest(code_of(secret, step).encode(), given)),
        None,
    )
