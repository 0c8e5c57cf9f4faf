"""Asking one outside party: bounded in time and size, left alone when it is down.

What comes back is hostile until it has been checked: it may be a web page, half a document, 26 MB,
a number that no float holds, or rows of another day.
"""

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar, cast

import httpx
from prometheus_client import Counter
from structlog import get_logger

from common import http, strict_json
from common.breaker import Breaker
from common.errors import Problem

log = get_logger()
T = TypeVar("T")
asked = Counter("outside_party_requests_total", "Questions to outside parties", ("party", "result"))
_UNTIL_RETRY_S = 0.25
_DIGITS = 9
"""Python refuses to read a number of thousands of digits."""
_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500


class NoAnswer(Exception):
    """A party gave nothing that can be used; the text says why."""

    def __init__(self, why: str, pause: timedelta | None = None) -> None:
        super().__init__(why)
        self.pause = pause
        """How long the party wants to be left alone."""


class _Transient(NoAnswer):
    """Worth asking again at once."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How far a party is indulged."""

    timeout_s: float = 10.0
    tries: int = 3
    answer_bytes: int = 4 * 1024 * 1024
    """The longest answer, after decompression."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a party sent."""

    party: str
    body: bytes
    asked_at: datetime
    simulated: bool
    """Whether the party says of itself that it is a simulated one."""

    def text(self) -> str:
        """Return the body as text.

        Raises:
            NoAnswer: it is no UTF-8.
        """
        try:
            return self.body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NoAnswer(f"{self.party}: the answer is no text") from error

    def json(self) -> Any:
        """Return what the body says; numbers are exact.

        Raises:
            NoAnswer: it is no JSON.
        """
        try:
            return strict_json.loads(self.body)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, Problem) as error:
            raise NoAnswer(f"{self.party}: the answer is no JSON: {self.body[:60]!r}") from error

    def member(self, *path: str) -> Any:
        """Return the member at a path of a JSON answer.

        Raises:
            NoAnswer: there is none, or the answer is no JSON.
        """
        return member(self.party, self.json(), path)


class Party:
    """One outside party and the state of our dealings with it."""

    def __init__(
        self,
        name: str,
        url: str,
        now: Callable[[], datetime],
        *,
        patience: Patience | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._now = now
        self._breaker = Breaker()
        self._url = url.rstrip("/")
        self._patience = patience or Patience()
        self._headers = headers

    async def attempt(self, ask: Callable[["Party"], Awaitable[T]]) -> T:
        """Return what a question makes of this party's answer.

        A document in good form that cannot be true is a failure like any other.

        Raises:
            NoAnswer: the party is down, is being left alone, or talks nonsense.
        """
        if not self._url:
            raise NoAnswer(f"{self.name}: switched off, it has no address")
        if not self._breaker.allows(self._now()):
            asked.labels(self.name, "left_alone").inc()
            raise NoAnswer(f"{self.name}: left alone for a while after failures")
        try:
            found = await ask(self)
        except NoAnswer as error:
            asked.labels(self.name, "failed").inc()
            self._breaker.failed(self._now(), error.pause)
            log.warning("party.failed", party=self.name, reason=str(error)[:300])
            raise
        asked.labels(self.name, "answered").inc()
        self._breaker.succeeded()
        return found

    async def get(self, path: str, **query: str) -> Answer:
        """GET a path, again where that may help.

        Raises:
            NoAnswer: the party is down, slow, or sends too much.
        """
        return await self._patiently("GET", path, {"params": query})

    async def call(self, method: str, *parameters: object) -> Answer:
        """Call a JSON-RPC method; the answer holds `result` when all is well.

        Raises:
            NoAnswer: as for `get`.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        return await self._patiently("POST", self._url, {"json": body})

    async def _patiently(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        timeout_s, tries = self._patience.timeout_s, self._patience.tries
        for attempt in range(1, tries + 1):
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._once(method, path, options)
            except TimeoutError:
                raise NoAnswer(f"{self.name}: no answer in {timeout_s:g} s") from None
            except _Transient:
                if attempt == tries:
                    raise
                jitter = 1 + random.random()  # noqa: S311  (no secret follows from it)
                await asyncio.sleep(_UNTIL_RETRY_S * attempt * jitter)
        raise AssertionError

    async def _once(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        asked_at, timeout_s = self._now(), self._patience.timeout_s
        try:
            # Asked every few minutes, a party would have closed a kept connection long ago.
            async with (
                http.client(
                    self._url, timeout_s=timeout_s, headers=self._headers, verify=_tls()
                ) as client,
                client.stream(method, path, **options) as response,
            ):
                self._check_status(response)
                body = await self._body(response)
        except httpx.TimeoutException as error:
            raise NoAnswer(f"{self.name}: no answer in {timeout_s:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Transient(f"{self.name}: {error!r}") from error
        simulated = response.headers.get("X-Simulated", "").lower() == "true"
        return Answer(self.name, body, asked_at, simulated)

    def _check_status(self, response: httpx.Response) -> None:
        if response.status_code == _TOO_MANY:
            pause = _pause(response.headers.get("Retry-After", ""))
            raise NoAnswer(f"{self.name}: it has been asked too often", pause)
        if response.status_code >= _SERVER_ERROR:
            raise _Transient(f"{self.name}: status {response.status_code}")
        if response.status_code != _OK:
            raise NoAnswer(f"{self.name}: status {response.status_code}")

    async def _body(self, response: httpx.Response) -> bytes:
        most = self._patience.answer_bytes
        parts = bytearray()
        async for part in response.aiter_bytes():  # after decompression: a bomb counts in full
            parts += part
            if len(parts) > most:
                raise NoAnswer(f"{self.name}: more than {most} bytes")
        return bytes(parts)


def member(party: str, document: Any, path: tuple[str, ...]) -> Any:
    """Return the member at a path of what a party said.

    Raises:
        NoAnswer: there is none.
    """
    found = document
    for name in path:
        if not isinstance(found, dict) or name not in found:
            raise NoAnswer(f"{party}: the answer has no {'.'.join(path)}")
        found = cast("dict[str, Any]", found)[name]
    return found


@cache
def _tls() -> ssl.SSLContext:
    """Return the trust that all share: to load it takes some 20 ms."""
    return httpx.create_ssl_context()


def _pause(retry_after: str) -> timedelta:
    """Return how long to stay away; a date or nonsense counts as a minute."""
    is_number = retry_after.isascii() and retry_after.isdigit()
    seconds = int(retry_after[:_DIGITS]) if is_number else 60
    return timedelta(seconds=min(max(seconds, 1), 86_400))
