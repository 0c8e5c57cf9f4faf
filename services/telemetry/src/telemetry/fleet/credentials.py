"""Opens what hosting sealed: base64 of a 12-byte nonce and AES-256-GCM ciphertext."""

import base64
import binascii

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telemetry.fleet.machine import SiteNetworks
from telemetry.settings import Settings

_NONCE_BYTES = 12


class Unsealable(Exception):
    """A credential cannot be opened: another key, or no credential at all."""


def credential_of(site: SiteNetworks, family: str | None, settings: Settings) -> str | None:
    """Return the password that the site's machines of this firmware family take, if one is set.

    Raises:
        Unsealable: it was sealed with another key, or is damaged.
    """
    sealed = site.credentials.get(family or "")
    if sealed is None:
        return None
    key = base64.b64decode(settings.device_credential_key.get_secret_value())
    try:
        raw = base64.b64decode(sealed, validate=True)
        opened = AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        return str(orjson.loads(opened)["password"])
    except (InvalidTag, binascii.Error, ValueError, KeyError, TypeError) as error:
        raise Unsealable("The site's credential cannot be opened; set it again.") from error
