"""Who sends a request: credentials verified once, then believed for half a minute at most."""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import cast
from uuid import UUID

from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog import get_logger

from common.auth import PLATFORM_ORGANISATION, Principal
from common.clock import now
from common.errors import BadRequest, Forbidden, Unauthenticated, Unavailable
from common.runtime import Runtime
from gateway.api_keys.form import looks_like_key, parse
from gateway.api_keys.keyring import recognise
from gateway.csrf import check_own_page
from gateway.front.guard import Head
from gateway.front.metrics import authenticated, token_cache
from gateway.front.passes import Pass
from gateway.front.table import Access
from gateway.roles import scopes_within
from gateway.security import REVOCATIONS, Security
from gateway.sessions.cookies import access_cookie, refresh_cookie
from gateway.sessions.liveness import session_holds
from gateway.tokens import AccessClaims, BadToken

log = get_logger()
_MAX_ENTRIES = 10_000
_REFUSED_S = 5.0
_NOBODY = UUID(int=0)
REFUSED = "The credentials are not valid (any more)."


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller."""

    principal: Principal
    limit_name: str
    login: AccessClaims | None = None
    key_id: UUID | None = None
    creator_id: UUID | None = None
    owes_second_factor: bool = False
    """The role asks for one, and this login has not proven it."""
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    passes: dict[str, Pass] = field(default_factory=dict[str, Pass], compare=False)
    """Internal tokens by service, prepared."""

    def is_about(self, identifier: UUID) -> bool:
        """Return whether revoking this session, user or key concerns the caller."""
        login = self.login
        return identifier in (self.key_id, self.creator_id) or (
            login is not None and identifier in (login.session_id, login.user_id)
        )


@dataclass(slots=True)
class _Entry:
    caller: Caller | None
    until: float


class Verifier:
    """Turns the credentials of a request into a caller."""

    def __init__(self, security: Security, runtime: Runtime) -> None:
        self._security = security
        self._runtime = runtime
        self._entries: dict[bytes, _Entry] = {}
        self._revocations = 0
        self._asking: dict[bytes, asyncio.Task[Caller | None]] = {}
        secure = security.settings.secure
        self._access_cookie = access_cookie(secure=secure)
        self._markers = (
            access_cookie(secure=secure).encode() + b"=",
            refresh_cookie(secure=secure).encode() + b"=",
        )
        security.listeners.append(self.forget)

    def at_hand(self, head: Head) -> Caller | None:
        """Return the caller if that takes no waiting and no second look: the usual request."""
        authorization = head.fields.get(b"authorization")
        if authorization is None or b"cookie" in head.fields:
            return None
        entry = self._entries.get(_key(authorization.removeprefix(b"Bearer ")))
        if entry is None or entry.until < time.monotonic():
            return None
        caller = entry.caller
        return None if caller is None or caller.networks or caller.owes_second_factor else caller

    async def caller(self, head: Head, access: Access, address: str) -> Caller:
        """Return who sends this request.

        Raises:
            BadRequest: both a cookie and a bearer token.
            Unauthenticated: nobody, or nobody that we know.
            Forbidden: from a network that the key does not allow, or from another site.
        """
        token = None if access == "ignored" else self._token(head)
        if token is None:
            if access == "required":
                raise Unauthenticated("Log in, or send an API key as Authorization: Bearer.")
            return anonymous(address)
        found = self._cached(token) or await self._verified(token)
        if found is None:
            if access == "tried":
                return anonymous(address)
            raise Unauthenticated(REFUSED)
        if found.networks:
            _check_network(found, address)
        return found

    def forget(self, identifier: UUID) -> None:
        """Drop what was verified for a session, user or API key."""
        self._revocations += 1
        for key, entry in list(self._entries.items()):
            if entry.caller is not None and entry.caller.is_about(identifier):
                del self._entries[key]

    async def listen(self) -> None:
        """Hear of revocations by other gateways; a gap in hearing empties the cache."""
        async with self._runtime.redis.pubsub() as channel:  # pyright: ignore[reportUnknownMemberType]
            await channel.subscribe(REVOCATIONS)
            self._entries.clear()
            while True:
                message = cast(
                    "dict[str, bytes] | None",
                    await channel.get_message(ignore_subscribe_messages=True, timeout=1.0),
                )
                if message is not None:
                    self.forget(UUID(message["data"].decode()))

    async def keep_listening(self) -> None:
        """Listen for ever, again and again while Redis is away."""
        while True:
            try:
                await self.listen()
            except (RedisError, OSError) as error:
                log.warning("revocations.not_heard", error=str(error)[:200])
                await asyncio.sleep(0.5)

    def _token(self, head: Head) -> str | None:
        authorization = head.fields.get(b"authorization")
        cookie = head.fields.get(b"cookie")
        if cookie is not None and any(marker in cookie for marker in self._markers):
            if authorization is not None:
                raise BadRequest("Send either the cookie or an Authorization header, not both.")
            return self._cookie_token(head, cookie)
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthenticated("Use Authorization: Bearer.")
        return token.strip().decode("latin-1")

    def _cookie_token(self, head: Head, cookie: bytes) -> str | None:
        try:
            morsel = SimpleCookie(cookie.decode("latin-1")).get(self._access_cookie)
        except CookieError as error:
            raise BadRequest("The Cookie header is malformed.") from error
        if morsel is None or not morsel.value:
            return None
        if head.method != "GET":
            check_own_page(head.fields, self._security.settings.public_url, strict=True)
        return morsel.value

    def _cached(self, token: str) -> Caller | None:
        entry = self._entries.get(_key(token.encode()))
        if entry is None or entry.until < time.monotonic() or entry.caller is None:
            return None
        return entry.caller

    async def _verified(self, token: str) -> Caller | None:
        """Verify once, however many requests wait for it; a refusal is remembered for 5 s."""
        key = _key(token.encode())
        entry = self._entries.get(key)
        if entry is not None and entry.until >= time.monotonic():
            token_cache.labels("refused").inc()
            return entry.caller
        token_cache.labels("miss").inc()
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(token))
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        before = self._revocations
        caller = await asyncio.shield(asking)
        if before == self._revocations:  # else: it may have been revoked while we asked
            self._remember(key, caller)
        return caller

    def _remember(self, key: bytes, caller: Caller | None) -> None:
        if len(self._entries) >= _MAX_ENTRIES:
            self._make_room()
        moment = time.monotonic()
        if caller is None:
            self._entries[key] = _Entry(None, moment + _REFUSED_S)
        else:
            left = (caller.principal.expires_at - now()).total_seconds()
            self._entries[key] = _Entry(caller, moment + min(left, self._security.settings.cache_s))

    def _make_room(self) -> None:
        moment = time.monotonic()
        stale = [key for key, entry in self._entries.items() if entry.until < moment]
        for key in stale or list(self._entries)[: _MAX_ENTRIES // 10]:
            del self._entries[key]

    async def _ask(self, token: str) -> Caller | None:
        kind = "api_key" if looks_like_key(token) else "user"
        verify: Callable[[str], Awaitable[Caller | None]] = (
            self._by_key if kind == "api_key" else self._by_token
        )
        try:
            caller = await verify(token)
        except (OSError, DBAPIError, PoolTimeoutError) as error:
            raise Unavailable(
                "Credentials cannot be checked at the moment; try again.", retry_after_s=2
            ) from error
        authenticated.labels(kind, "accepted" if caller else "refused").inc()
        return caller

    async def _by_key(self, token: str) -> Caller | None:
        parts = parse(token)
        if parts is None:
            return None
        known = await recognise(self._runtime, self._security, parts)
        if known is None:
            return None
        principal = Principal(
            subject=known.id,
            kind="api_key",
            organisation_id=known.organisation_id,
            client_id=known.client_id,
            role=known.role,
            scopes=known.scopes,
            request_id="",  # each request sets its own
            expires_at=known.expires_at,
        )
        return Caller(
            principal,
            f"key:{known.id}",
            key_id=known.id,
            creator_id=known.created_by,
            networks=known.networks,
        )

    async def _by_token(self, token: str) -> Caller | None:
        try:
            claims = self._security.tokens.verify(token)
        except BadToken:
            return None
        if not await session_holds(self._runtime, claims):
            return None
        principal = Principal(
            subject=claims.user_id,
            kind="user",
            organisation_id=claims.organisation_id,
            client_id=claims.client_id,
            role=claims.role,
            scopes=scopes_within(claims.role, claims.organisation_id),
            request_id="",  # each request sets its own
            expires_at=claims.expires_at,
        )
        owes = claims.role in self._security.settings.second_factor_roles and not claims.strong
        return Caller(principal, f"user:{claims.user_id}", login=claims, owes_second_factor=owes)


def _key(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def anonymous(address: str) -> Caller:
    """Return the caller of a public route; limited by address (IPv6: by subscriber)."""
    network = address if ":" not in address else ip_address(address).exploded[:19]
    principal = Principal(
        subject=_NOBODY,
        kind="anonymous",
        organisation_id=PLATFORM_ORGANISATION,
        client_id=None,
        role="Anonymous",
        scopes=frozenset(),
        request_id="",
        expires_at=now(),
    )
    return Caller(principal, f"address:{network}")


def _check_network(caller: Caller, address: str) -> None:
    peer = ip_address(address)
    if not any(peer in network for network in caller.networks):
        raise Forbidden("This API key may not be used from this address.")
