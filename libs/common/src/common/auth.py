"""Who is calling: the principal, and the internal token that carries it from hop to hop.

The gateway checks the caller once and mints a token for one service, valid for seconds. A service
trusts nothing else. The form is `base64url(JSON claims) "." base64url(HMAC-SHA-256)`: one
algorithm, fixed, so there is no header to confuse.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import Request, Security
from fastapi.security import APIKeyHeader, SecurityScopes

from common.clock import now
from common.errors import Forbidden, Unauthenticated

HEADER = "Internal-Token"
PLATFORM_ORGANISATION = UUID(int=0)
"""The installation itself: tenant of shared rows and of anonymous callers."""

Kind = Literal["user", "api_key", "service", "anonymous"]
_LEEWAY = timedelta(seconds=5)
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """An authenticated caller, as the gateway saw it."""

    subject: UUID
    kind: Kind
    organisation_id: UUID
    client_id: UUID | None
    role: str
    scopes: frozenset[str]
    request_id: str
    expires_at: datetime
    """The caller's deadline: work that starts later is refused."""


def mint(principal: Principal, *, audience: str, key: str, ttl_s: float = 30) -> str:
    """Return an internal token for one service, valid for `ttl_s` seconds."""
    expires = now() + timedelta(seconds=ttl_s)
    claims = {
        "aud": audience,
        "sub": str(principal.subject),
        "knd": principal.kind,
        "org": str(principal.organisation_id),
        "cli": str(principal.client_id) if principal.client_id else None,
        "rol": principal.role,
        "scp": " ".join(sorted(principal.scopes)),
        "rid": principal.request_id,
        "exp": expires.timestamp(),
    }
    payload = base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
    return (payload + b"." + _signature(payload, key)).decode()


def verify(token: str, *, audience: str, key: str) -> Principal:
    """Return the principal of a token minted for this audience.

    Raises:
        Unauthenticated: the token is malformed, not ours, for somebody else, or too old.
    """
    payload, _, signature = token.encode("ascii", "replace").partition(b".")
    if len(token) > _LONGEST_TOKEN or not hmac.compare_digest(signature, _signature(payload, key)):
        raise Unauthenticated("The internal token is not valid.")
    try:
        claims: dict[str, Any] = orjson.loads(base64.urlsafe_b64decode(payload + b"=="))
    except (binascii.Error, orjson.JSONDecodeError) as error:  # pragma: no cover  (signed by us)
        raise Unauthenticated("The internal token is not valid.") from error
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if claims["aud"] != audience or expires_at + _LEEWAY < now():
        raise Unauthenticated("The internal token is for another service or has expired.")
    return Principal(
        subject=UUID(claims["sub"]),
        kind=claims["knd"],
        organisation_id=UUID(claims["org"]),
        client_id=UUID(claims["cli"]) if claims["cli"] else None,
        role=claims["rol"],
        scopes=frozenset(claims["scp"].split()),
        request_id=claims["rid"],
        expires_at=expires_at,
    )


def _signature(payload: bytes, key: str) -> bytes:
    digest = hmac.digest(key.encode(), payload, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=")


_scheme = APIKeyHeader(
    name="Authorization",
    scheme_name="Bearer",
    description="Access token or API key, as `Bearer <token>`. The gateway checks it.",
    auto_error=False,
)


# These look at what is there and await nothing; as plain functions each would cost a thread.
async def _caller(
    request: Request, _: Annotated[str | None, Security(_scheme)] = None
) -> Principal:
    principal: Principal = request.state.principal
    if principal.kind == "anonymous":
        raise Unauthenticated("Log in or send an API key.")
    return principal


async def _permitted(
    needed: SecurityScopes, principal: Annotated[Principal, Security(_caller)]
) -> Principal:
    missing = [scope for scope in needed.scopes if scope not in principal.scopes]
    if missing:
        raise Forbidden(
            f"This needs the permission {' and '.join(missing)}.", required_scopes=missing
        )
    return principal


async def _anyone(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


def with_scope(*scopes: str) -> Any:
    """Return the dependency that admits callers who hold all of `scopes`."""
    return Security(_permitted, scopes=list(scopes))


AnyPrincipal = Annotated[Principal, Security(_caller)]
"""Any authenticated caller."""
Anyone = Annotated[Principal, Security(_anyone)]
"""A public route: the caller may be anonymous."""
