"""What an API key looks like: `hy_live_<8 letters>_<43 letters><6 letters of CRC-32>`.

The prefix is for secret scanners, the checksum spares a look-up for every typing error.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass

_ALPHABET = string.digits + string.ascii_letters
_PREFIX = "hy_live_"
_ID_LENGTH = 8
_SECRET_LENGTH = 43
_CRC_LENGTH = 6
_FORM = re.compile(r"hy_live_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class KeyParts:
    """A well-formed key."""

    prefix: str
    text: str


def new_key() -> KeyParts:
    """Return a new key: 43 letters of 62 are 256 bits."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    stem = f"{_PREFIX}{prefix}_{secret}"
    return KeyParts(prefix, stem + _checksum(stem))


def parse(text: str) -> KeyParts | None:
    """Return the parts of a key whose checksum fits."""
    found = _FORM.fullmatch(text)
    if found is None or _checksum(text[:-_CRC_LENGTH]) != found[3]:
        return None
    return KeyParts(found[1], text)


def looks_like_key(text: str) -> bool:
    """Return whether this means to be an API key."""
    return text.startswith(_PREFIX)


def _checksum(stem: str) -> str:
    value = zlib.crc32(stem.encode())
    letters = ""
    for _ in range(_CRC_LENGTH):
        value, rest = divmod(value, len(_ALPHABET))
        letters = _ALPHABET[rest] + letters
    return letters
