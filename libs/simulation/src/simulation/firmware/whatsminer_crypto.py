"""The WhatsMiner v2 write channel: md5crypt tokens and AES-256-ECB bodies."""

import base64
import binascii
import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

BLOCK = 16
ROUNDS = 1000
LETTERS = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class NotDecodable(Exception):
    """The body is not what this key would have produced."""


@lru_cache(maxsize=16384)
def md5crypt_hash(secret: str, salt: str) -> str:
    """Return the hash part of `$1$salt$hash`; slow on purpose, so answers are remembered."""
    password, grain = secret.encode(), salt.encode()
    inner = _md5(password + grain + password)
    mixed = password + b"$1$" + grain
    mixed += (inner * (len(password) // len(inner) + 1))[: len(password)]
    bits = len(password)
    while bits:
        mixed += b"\0" if bits & 1 else password[:1]
        bits >>= 1
    digest = _md5(mixed)
    for turn in range(ROUNDS):
        first, last = (password, digest) if turn & 1 else (digest, password)
        between = (grain if turn % 3 else b"") + (password if turn % 7 else b"")
        digest = _md5(first + between + last)
    return _in_crypt_letters(digest)


def _md5(message: bytes) -> bytes:
    return hashlib.md5(message, usedforsecurity=False).digest()


def _in_crypt_letters(digest: bytes) -> str:
    letters = ""
    for first in range(5):
        last = first + 12 if first + 12 < len(digest) else 5
        group = digest[first] << 16 | digest[first + 6] << 8 | digest[last]
        letters += _six_bits(group, 4)
    return letters + _six_bits(digest[11], 2)


def _six_bits(value: int, count: int) -> str:
    return "".join(LETTERS[value >> 6 * place & 63] for place in range(count))


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
