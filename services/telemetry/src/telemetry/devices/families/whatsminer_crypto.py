"""WhatsMiner v2's write channel: a key from the password, a sign per token, sealed bodies."""

import base64
import binascii
import hashlib
import warnings

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

with warnings.catch_warnings():
    # libpass looks for the standard library's `crypt`, which warns of its own end.
    warnings.simplefilter("ignore", DeprecationWarning)
    from passlib.hash import md5_crypt  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]  # made at run time

_BLOCK_BYTES = 16


class BadSeal(Exception):
    """A sealed body was not made with this key, or was damaged."""


def hash_part(secret: str, salt: str) -> str:
    """Return the hash alone of md5crypt.

    Raises:
        ValueError: the miner sent a salt that md5crypt does not know.
    """
    hashed = str(md5_crypt.using(salt=salt).hash(secret))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]  # libpass has no types
    return hashed.rsplit("$", 1)[1]


def seal(key: str, body: bytes) -> str:
    """Encrypt a body for the miner, padded with zeros."""
    encryptor = _cipher(key).encryptor()
    padded = body + b"\0" * (-len(body) % _BLOCK_BYTES)
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def unseal(key: str, sealed: str) -> bytes:
    """Decrypt what the miner answered.

    Raises:
        BadSeal: it is not base64, or not whole blocks.
    """
    try:
        raw = base64.b64decode(sealed)
        decryptor = _cipher(key).decryptor()
        return (decryptor.update(raw) + decryptor.finalize()).rstrip(b"\0")
    except (binascii.Error, ValueError) as error:
        raise BadSeal("The miner's sealed answer cannot be opened.") from error


def _cipher(key: str) -> Cipher[modes.ECB]:
    digest = hashlib.sha256(key.encode()).digest()
    return Cipher(algorithms.AES256(digest), modes.ECB())  # noqa: S305  # the vendor's protocol
