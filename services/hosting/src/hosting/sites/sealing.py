"""Sealing of the machines' credentials: hosting closes them, only telemetry opens them.

The sealed form is base64 of a 12-byte nonce and the AES-256-GCM ciphertext of the credential's
JSON (`{"username": ..., "password": ...}`) with its tag; the key is DEVICE_CREDENTIAL_KEY.
"""

import base64
import os

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

_NONCE_BYTES = 12


def seal(username: str | None, password: SecretStr, *, key: SecretStr) -> str:
    """Return the sealed form of a credential."""
    secret = orjson.dumps({"username": username, "password": password.get_secret_value()})
    nonce = os.urandom(_NONCE_BYTES)
    box = AESGCM(base64.b64decode(key.get_secret_value()))
    return base64.b64encode(nonce + box.encrypt(nonce, secret, None)).decode()
