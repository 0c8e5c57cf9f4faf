"""Access tokens: Ed25519, five minutes, verified by one strict rule (RFC 8725, RFC 9068)."""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from common.clock import now
from common.ids import new_id

_ALGORITHM: Literal["Ed25519"] = "Ed25519"
_TYPE = "at+jwt"
_AUDIENCE = "hashyard"
_LEEWAY_S = 5
_MAX_LENGTH = 4096
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}")


class BadToken(Exception):
    """The token is not one of ours, or not any more."""


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What an access token says."""

    user_id: UUID
    session_id: UUID
    organisation_id: UUID
    client_id: UUID | None
    role: str
    epoch: int
    expires_at: datetime
    elevated: bool
    """An Admin acting inside a tenant."""
    strong: bool
    """A second factor was proven in this login."""


class _Key:
    """One Ed25519 key, and the header of the tokens that it signs."""

    def __init__(self, seed_base64: str) -> None:
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(seed_base64))
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.pair = OKPKey.import_key(pem)
        kid = hashlib.sha256(private.public_key().public_bytes_raw()).hexdigest()[:16]
        self.header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": kid}
        sample = jwt.encode(self.header, {}, self.pair, algorithms=[_ALGORITHM])
        self.first_part = sample.partition(".")[0]


class AccessTokens:
    """Signs and verifies the access tokens of one installation.

    Tokens of `further` keys are believed, none is signed with them: the next key before it signs,
    so that every gateway knows it by then, and the last one until its tokens have ended.
    """

    def __init__(self, seed_base64: str, issuer: str, further: Iterable[str] = ()) -> None:
        self._issuer = issuer
        self._own = _Key(seed_base64)
        self._keys = {key.first_part: key for key in (self._own, *(_Key(seed) for seed in further))}
        self._claims = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": _AUDIENCE},
            sub={"essential": True},
            sid={"essential": True},
            org={"essential": True},
            role={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )

    def issue(
        self,
        *,
        user_id: UUID,
        session_id: UUID,
        organisation_id: UUID,
        client_id: UUID | None,
        role: str,
        epoch: int,
        ttl_s: int,
        elevated: bool = False,
        strong: bool = False,
    ) -> str:
        """Return a signed access token."""
        issued = now()
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "aud": _AUDIENCE,
            "sub": str(user_id),
            "sid": str(session_id),
            "org": str(organisation_id),
            "cli": str(client_id) if client_id else None,
            "role": role,
            "epoch": epoch,
            "iat": int(issued.timestamp()),
            "exp": int((issued + timedelta(seconds=ttl_s)).timestamp()),
            "jti": str(new_id()),
        }
        if strong:
            claims["amr"] = ["mfa"]
        if elevated:
            claims["act"] = {"sub": str(user_id)}
        return jwt.encode(self._own.header, claims, self._own.pair, algorithms=[_ALGORITHM])

    def verify(self, token: str) -> AccessClaims:
        """Return the claims of a token that this installation signed and that still holds.

        Raises:
            BadToken: anything else, whatever the reason.
        """
        if len(token) > _MAX_LENGTH or not _FORM.fullmatch(token) or not _canonical(token):
            raise BadToken
        try:
            # The very bytes that we write there: no crit, jku, jwk, x5u, zip; our kid, our type.
            key = self._keys[token.partition(".")[0]]
            decoded = jwt.decode(token, key.pair, algorithms=[_ALGORITHM])
            self._claims.validate(decoded.claims)
            return _claims_of(decoded.claims)
        except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadToken from error


def _canonical(token: str) -> bool:
    """Return whether no part has a second spelling (stray bits at the end of base64)."""
    for part in token.split("."):
        try:
            raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        except ValueError:
            return False
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
            return False
    return True


def _claims_of(claims: dict[str, Any]) -> AccessClaims:
    client = cast("str | None", claims["cli"])
    return AccessClaims(
        user_id=UUID(claims["sub"]),
        session_id=UUID(claims["sid"]),
        organisation_id=UUID(claims["org"]),
        client_id=UUID(client) if client else None,
        role=str(claims["role"]),
        epoch=int(claims["epoch"]),
        expires_at=datetime.fromtimestamp(int(claims["exp"]), now().tzinfo),
        elevated="act" in claims,
        strong="mfa" in claims.get("amr", ()),
    )
