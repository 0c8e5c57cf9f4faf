"""Asking one outside party: bounded in time and size, strictly parsed, left alone when it is down.

What comes back is hostile until it has been checked: it may be a web page, half a document, 26 MB,
or a number that no float holds.
"""

import asyncio
import json
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, TypeVar, cast

import httpx
from prometheus_client import Counter
from structlog import get_logger

from calculator.domain.readings import Kind, Reading, objection
from common import http, strict_json
from common.breaker import Breaker
from common.errors import Problem

log = get_logger()
T = TypeVar("T")
asked = Counter("market_source_requests_total", "Questions to market sources", ("source", "result"))
MAX_ANSWER_BYTES = 1024 * 1024
_TIMEOUT_S = 3.0
_TRIES = 2
_UNTIL_RETRY_S = 0.25
_SIMULATED = "X-Simulated"
_OK, _TOO_MANY, _SERVER_ERROR = 200, 429, 500


class NoAnswer(Exception):
    """A party gave nothing that can be used; the text says why."""

    def __init__(self, why: str, pause: timedelta | None = None) -> None:
        super().__init__(why)
        self.pause = pause
        """How long the party wants to be left alone."""


class _Transient(NoAnswer):
    """Worth asking a second time at once."""


class Answer:
    """An answer, parsed unless it is text, with what is needed to make readings of it."""

    def __init__(self, source: str, content: Any, asked_at: datetime, *, simulated: bool) -> None:
        self.source = source
        self.content = content
        self.asked_at = asked_at
        self.simulated = simulated

    def value(self, *path: str) -> Any:
        """Return the member at a path.

        Raises:
            NoAnswer: there is none.
        """
        found: Any = self.content
        for name in path:
            if not isinstance(found, dict) or name not in found:
                raise NoAnswer(f"{self.source}: the answer has no {'.'.join(path)}")
            found = cast("dict[str, Any]", found)[name]
        return found

    def number(self, *path: str) -> Decimal:
        """Return the number at a path; some parties write numbers as text."""
        return self.decimal(self.value(*path))

    def decimal(self, value: Any) -> Decimal:
        """Return a member as a finite number.

        Raises:
            NoAnswer: it is not one.
        """
        if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
            raise NoAnswer(f"{self.source}: a number was expected")
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise NoAnswer(f"{self.source}: a number was expected") from None
        if not number.is_finite():
            raise NoAnswer(f"{self.source}: a finite number was expected")
        return number

    def rows(self, value: Any) -> list[Any]:
        """Return a member as a list.

        Raises:
            NoAnswer: it is none.
        """
        if not isinstance(value, list):
            raise NoAnswer(f"{self.source}: a list was expected")
        return cast("list[Any]", value)

    def moment(self, seconds: Decimal) -> datetime:
        """Return the time that a Unix timestamp stands for.

        Raises:
            NoAnswer: it is no time of this or the next century.
        """
        if not 0 < seconds < 5 * 10**9:
            raise NoAnswer(f"{self.source}: {seconds:.6g} is no time")
        return datetime.fromtimestamp(float(seconds), UTC)

    def reading(self, kind: Kind, value: Decimal, at: datetime | None = None) -> Reading:
        """Return a reading, if it can be true.

        Raises:
            NoAnswer: it cannot.
        """
        made = Reading(kind, self.source, value, at or self.asked_at, self.asked_at, self.simulated)
        if why := objection(made):
            raise NoAnswer(f"{self.source}: {why}")
        return made


class Party:
    """One outside party and the state of our dealings with it."""

    def __init__(
        self,
        name: str,
        url: str,
        now: Callable[[], datetime],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._now = now
        self._breaker = Breaker()
        self._url = url.rstrip("/")
        self._headers = headers

    async def attempt(self, ask: Callable[["Party"], Awaitable[T]]) -> T | None:
        """Return what a source's function makes of this party's answer; None if it has none.

        A document in good form that cannot be true is a failure like any other.
        """
        if not self._breaker.allows(self._now()):
            asked.labels(self.name, "left_alone").inc()
            return None
        try:
            found = await ask(self)
        except NoAnswer as error:
            asked.labels(self.name, "failed").inc()
            self._breaker.failed(self._now(), error.pause)
            log.warning("market_source.failed", source=self.name, reason=str(error)[:300])
            return None
        asked.labels(self.name, "answered").inc()
        self._breaker.succeeded()
        return found

    async def get(self, path: str, **query: str) -> Answer:
        """GET a path and return its JSON.

        Raises:
            NoAnswer: the party is down, slow, or talks nonsense.
        """
        answer = await self._twice("GET", path, {"params": query})
        answer.content = self._parsed(answer.content)
        return answer

    async def get_text(self, path: str) -> str:
        """GET a path that answers with one line of text.

        Raises:
            NoAnswer: as for `get`.
        """
        body: bytes = (await self._twice("GET", path, {})).content
        return body.decode("ascii", "replace").strip()

    async def call(self, method: str, *parameters: object) -> Answer:
        """Call a JSON-RPC method and return its result.

        Raises:
            NoAnswer: as for `get`, or the party answers with an error.
        """
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        answer = await self._twice("POST", self._url, {"json": body})
        answer.content = self._parsed(answer.content)
        answer.content = answer.value("result")
        return answer

    async def _twice(self, method: str, path: str, options: dict[str, Any]) -> Answer:
        asked_at = self._now()
        for attempt in range(1, _TRIES + 1):
            try:
                async with asyncio.timeout(_TIMEOUT_S):
                    return await self._once(method, path, options, asked_at)
            except TimeoutError:
                raise NoAnswer(f"{self.name}: no answer in {_TIMEOUT_S:g} s") from None
            except _Transient:
                if attempt == _TRIES:
                    raise
                await asyncio.sleep(_UNTIL_RETRY_S * (1 + random.random()))  # noqa: S311  (jitter)
        raise AssertionError

    async def _once(
        self, method: str, path: str, options: dict[str, Any], asked_at: datetime
    ) -> Answer:
        try:
            # Asked every five minutes, a party would have closed a kept connection long ago.
            async with (
                http.client(
                    self._url, timeout_s=_TIMEOUT_S, headers=self._headers, verify=_tls()
                ) as client,
                client.stream(method, path, **options) as response,
            ):
                self._check_status(response)
                body = await self._body(response)
        except httpx.TimeoutException as error:
            raise NoAnswer(f"{self.name}: no answer in {_TIMEOUT_S:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _Transient(f"{self.name}: {error!r}") from error
        simulated = response.headers.get(_SIMULATED, "").lower() == "true"
        return Answer(self.name, body, asked_at, simulated=simulated)

    def _check_status(self, response: httpx.Response) -> None:
        if response.status_code == _TOO_MANY:
            pause = _pause(response.headers.get("Retry-After", ""))
            raise NoAnswer(f"{self.name}: it has been asked too often", pause)
        if response.status_code >= _SERVER_ERROR:
            raise _Transient(f"{self.name}: status {response.status_code}")
        if response.status_code != _OK:
            raise NoAnswer(f"{self.name}: status {response.status_code}")

    async def _body(self, response: httpx.Response) -> bytes:
        parts = bytearray()
        async for part in response.aiter_bytes():  # after decompression: a bomb counts in full
            parts += part
            if len(parts) > MAX_ANSWER_BYTES:
                raise NoAnswer(f"{self.name}: more than {MAX_ANSWER_BYTES} bytes")
        return bytes(parts)

    def _parsed(self, body: bytes) -> Any:
        try:
            return strict_json.loads(body)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError, Problem) as error:
            raise NoAnswer(f"{self.name}: the answer is no JSON: {body[:60]!r}") from error


@cache
def _tls() -> ssl.SSLContext:
    """Return the trust that all share: to load it takes some 20 ms."""
    return httpx.create_ssl_context()


def _pause(retry_after: str) -> timedelta:
    """Return how long to stay away; a date or nonsense counts as a minute."""
    seconds = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else 60
    return timedelta(seconds=min(max(seconds, 1), 86_400))
