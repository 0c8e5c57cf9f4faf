"""Internal tokens at the rate of the hot path.

The same token as `common.auth.mint` makes, which services verify as such (a test says so). All but
the request's id and the deadline is the same for every request of a caller to a service, so that
part is encoded once: JSON up to a multiple of three bytes is base64 that can be continued.
"""

import base64
import hashlib
import hmac
import time

import orjson

from common.auth import Principal


class Pass:
    """A caller's token for one service, but for the request's id and the deadline."""

    __slots__ = ("_encoded", "_key", "_rest")

    def __init__(self, principal: Principal, *, audience: str, key: str) -> None:
        claims = {
            "aud": audience,
            "sub": str(principal.subject),
            "knd": principal.kind,
            "org": str(principal.organisation_id),
            "cli": str(principal.client_id) if principal.client_id else None,
            "rol": principal.role,
            "scp": " ".join(sorted(principal.scopes)),
        }
        text = orjson.dumps(claims)[:-1] + b',"rid":"'
        whole = len(text) - len(text) % 3
        self._encoded = base64.urlsafe_b64encode(text[:whole])
        self._rest = text[whole:]
        self._key = key.encode()

    def token(self, request_id: str, ttl_s: float) -> bytes:
        """Return the token of one request."""
        tail = b'%b%b","exp":%.3f}' % (self._rest, request_id.encode(), time.time() + ttl_s)
        payload = self._encoded + base64.urlsafe_b64encode(tail).rstrip(b"=")
        digest = hmac.digest(self._key, payload, hashlib.sha256)
        return payload + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")
