"""The gateway's keys and its slow hash, made once per process."""

import asyncio
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Annotated, TypeVar, cast
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Request
from pwdlib.hashers.argon2 import Argon2Hasher
from redis.exceptions import RedisError
from structlog import get_logger

from common.errors import Unavailable
from common.runtime import Runtime
from gateway.settings import Settings
from gateway.tokens import AccessTokens

log = get_logger()
T = TypeVar("T")
_THREADS = 2
_QUEUE = 20
_NONCE_BYTES = 12
REVOCATIONS = "hashyard:gateway:revoked"
"""Redis channel of ids (session, user, API key) whose verified credentials are void."""


class Passwords:
    """argon2id in threads of its own, with a bound on how many wait.

    Memory 19 MiB, two passes (OWASP's floor): tens of milliseconds. Without the bound thirty
    logins a second would hold up every other request of the process.
    """

    def __init__(self) -> None:
        self._hasher = Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="argon2")
        self._waiting = 0
        self._decoy = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """Return the hash to store."""
        return await self._run(lambda: self._hasher.hash(_normalised(password)))

    async def verify(self, password: str, stored: str | None) -> bool:
        """Return whether the password fits; takes as long when there is no such person."""
        fits = await self._run(
            lambda: self._hasher.verify(_normalised(password), stored or self._decoy)
        )
        return fits and bool(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= _QUEUE:
            raise Unavailable("Too many logins at once; try again.", retry_after_s=2)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


class Security:
    """Keys, hashes, and who must hear of a revocation."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.passwords = Passwords()
        self.tokens = AccessTokens(
            settings.signing_key.get_secret_value(),
            settings.public_url,
            [key.get_secret_value() for key in settings.further_signing_keys],
        )
        self._pepper = settings.api_key_pepper.get_secret_value().encode()
        self.listeners: list[Callable[[UUID], None]] = []

    def mac(self, purpose: str, value: str) -> bytes:
        """Return a keyed digest; the purpose keeps digests of different kinds apart."""
        return hmac.digest(self._pepper, f"{purpose}\x00{value}".encode(), hashlib.sha256)

    def seal(self, purpose: str, secret: bytes, *, bound_to: bytes) -> bytes:
        """Return a secret that only this installation opens, and only for what it is bound to."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._sealing(purpose).encrypt(nonce, secret, bound_to)

    def unseal(self, purpose: str, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Return what was sealed."""
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return self._sealing(purpose).decrypt(nonce, rest, bound_to)

    def _sealing(self, purpose: str) -> AESGCM:
        return AESGCM(self.mac("sealing key", purpose))

    async def revoke(self, runtime: Runtime, identifier: UUID) -> None:
        """Make every gateway forget what it verified for a session, user or API key.

        Call it after the commit. Redis may be away: then the others notice within `cache_s`.
        """
        for listener in self.listeners:
            listener(identifier)
        with suppress(RedisError, OSError):
            await runtime.redis.publish(REVOCATIONS, str(identifier))  # pyright: ignore[reportUnknownMemberType]


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFKC", password)


def _security(request: Request) -> Security:
    return cast("Security", request.app.state.security)


SecurityDep = Annotated[Security, Depends(_security)]
