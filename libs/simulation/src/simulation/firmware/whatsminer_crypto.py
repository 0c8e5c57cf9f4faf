"""The WhatsMiner v2 write channel: md5crypt tokens and AES-256-ECB bodies."""

import base64
import binascii
import hashlib
from functools import lru_cache
from typing import Protocol, cast

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from passlib.handlers.md5_crypt import md5_crypt

BLOCK = 16


class _SaltedHash(Protocol):
    """The part of passlib, which has no types of its own, that is used here."""

    def using(self, *, salt: str) -> "_SaltedHash": ...
    def hash(self, secret: str) -> str: ...


_MD5_CRYPT = cast("_SaltedHash", md5_crypt)


class NotDecodable(Exception):
    """The body is not what this key would have produced."""


@lru_cache(maxsize=16384)
def md5crypt_hash(secret: str, salt: str) -> str:
    """Return the hash part alone; a thousand rounds, so equal questions are remembered."""
    return _MD5_CRYPT.using(salt=salt).hash(secret).rsplit("$", 1)[1]


def encrypt(key: str, text: str) -> str:
    raw = text.encode()
    padded = raw + b"\0" * (-len(raw) % BLOCK)
    encryptor = _cipher(key).encryptor()
    return base64.b64encode(encryptor.update(padded) + encryptor.finalize()).decode()


def decrypt(key: str, text: str) -> bytes:
    """Return the plain body without its padding.

    Raises:
        NotDecodable: it is not base64, or not whole blocks.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotDecodable("The data is not base64.") from error
    if not raw or len(raw) % BLOCK:
        raise NotDecodable("The data is not whole blocks.")
    decryptor = _cipher(key).decryptor()
    return (decryptor.update(raw) + decryptor.finalize()).rstrip(b"\0")


def _cipher(key: str) -> Cipher[modes.ECB]:
    # The vendor's protocol fixes ECB; nothing of ours is protected by it.
    return Cipher(algorithms.AES256(hashlib.sha256(key.encode()).digest()), modes.ECB())  # noqa: S305  # the vendor's protocol
