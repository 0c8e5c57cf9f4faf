"""Asking Elexon's Insights API: bounded in number, time and size; what comes is checked.

An answer counts only when it was read to its end and says what was asked for; anything else is
asked again a few times and is then a failure, never an empty answer.
"""

import asyncio
import random
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache, cached_property
from typing import Any, Generic, TypeVar

import httpx
from prometheus_client import Counter
from structlog import get_logger

from common import http
from common.clock import now
from energy.domain.settlement import day_start
from energy.domain.wind import Side, StackRow
from energy.wind import answers
from energy.wind.fields import Nonsense
from energy.wind.pace import Gate, TooLong

log = get_logger()
T = TypeVar("T")
asked = Counter("energy_elexon_requests_total", "Calls to Elexon", ("dataset", "result"))
MAX_ANSWER_BYTES = 16 * 1024 * 1024
_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 20.0
_USUAL_REST_S = 60.0
_LONGEST_REST_S = 86_400.0
"""A party that wants to be left alone for longer is asked again after a day all the same."""
PATIENCE_OF_JOBS_S = 3600.0
"""How long a job waits while the party rests."""
_OK, _NOT_FOUND, _TOO_MANY, _SERVER_ERROR, _UNAVAILABLE = 200, 404, 429, 500, 503
_SIMULATED = "X-Simulated"
_UNITS_AT_A_TIME = 60


class NoAnswer(Exception):
    """Elexon gave nothing that can be used; the text says why."""


class NotThere(NoAnswer):
    """It answered 404: there is no such period, or it is not published."""


class Resting(NoAnswer):
    """It wants to be left alone for longer than the call can wait."""


class _Again(NoAnswer):
    """Worth asking again; `rest_s` is what the party itself asks for."""

    def __init__(self, why: str, rest_s: float | None = None) -> None:
        super().__init__(why)
        self.rest_s = rest_s


@dataclass(frozen=True, slots=True)
class Told(Generic[T]):
    """An answer as it came, and what was read from it."""

    body: bytes
    rows: T
    fetched_at: datetime
    simulated: bool


Parts = list[Told[list[answers.Output]]]
"""Answers about some units each."""


class Elexon:
    """The API, for as long as `open_elexon` holds it open."""

    def __init__(
        self,
        url: str,
        gate: Gate,
        *,
        timeout_s: float,
        tries: int,
        patience_s: float,
    ) -> None:
        self._url = url.rstrip("/")
        self._gate = gate
        self._timeout_s = timeout_s
        self._tries = tries
        self._patience_s = patience_s

    @cached_property
    def _client(self) -> Any:
        # Made when first needed: not every step of a process asks Elexon.
        return http.client(self._url, timeout_s=self._timeout_s, verify=_tls())

    async def close(self) -> None:
        """Give the connections back."""
        if "_client" in self.__dict__:
            await self._client.aclose()

    async def stack(self, side: Side, day: date, period: int) -> Told[list[StackRow]]:
        """Return one side of the stack of a settlement period.

        Raises:
            NotThere: it is not published, or there is no such period.
            NoAnswer: Elexon is down, slow, or talks nonsense.
        """
        path = f"/balancing/settlement/stack/all/{side}/{day}/{period}"
        return await self._ask(
            f"stack/{side}", path, {}, lambda body: answers.read_stack(body, day, period)
        )

    async def bm_units(self) -> Told[list[answers.Unit]]:
        """Return the register of units. Raises as `stack`."""
        return await self._ask("bm-units", "/reference/bmunits/all", {}, answers.read_units)

    async def generation(self, first: date, last: date) -> Told[list[answers.Generation]]:
        """Return wind generation by type of at most six days. Raises as `stack`.

        The API gives seven times 24 hours; a week in which the clocks go back is an hour longer.
        """
        query = {"from": _instant(day_start(first)), "to": _instant(_day_end(last))}
        return await self._ask(
            "generation",
            "/generation/actual/per-type/wind-and-solar",
            query,
            lambda body: answers.read_generation(body, first, last),
        )

    async def system_prices(self, day: date) -> Told[list[answers.Price]]:
        """Return the imbalance prices of a day. Raises as `stack`."""
        return await self._ask(
            "system-prices",
            f"/balancing/settlement/system-prices/{day}",
            {},
            lambda body: answers.read_prices(body, day),
        )

    async def notifications(self, day: date, units: Sequence[str]) -> Parts:
        """Return what units meant to generate on a day. Raises as `stack`."""
        span = (day_start(day), _day_end(day))
        return await self._outputs(
            "/datasets/PN/stream", "pn", span, units, lambda body: answers.read_notified(body, day)
        )

    async def metered(self, day: date, units: Sequence[str]) -> Parts:
        """Return what units' meters say of a day; nothing in its first days. Raises as `stack`.

        Their rows carry the end of their half-hour, and nothing says whether a span means that or
        the start: asked until the next midnight, the day is whole either way.
        """
        span = (day_start(day), day_start(day + timedelta(days=1)))
        return await self._outputs(
            "/datasets/B1610/stream",
            "b1610",
            span,
            units,
            lambda body: answers.read_metered(body, day),
        )

    async def _outputs(
        self,
        path: str,
        dataset: str,
        span: tuple[datetime, datetime],
        units: Sequence[str],
        read: Callable[[bytes], list[answers.Output]],
    ) -> Parts:
        """Ask for some units at a time: all at once would be an answer of tens of megabytes."""
        query = {"from": _instant(span[0]), "to": _instant(span[1])}
        parts = [units[n : n + _UNITS_AT_A_TIME] for n in range(0, len(units), _UNITS_AT_A_TIME)]
        return await asyncio.gather(
            *(self._ask(dataset, path, {**query, "bmUnit": part}, read) for part in parts)
        )

    async def _ask(
        self,
        dataset: str,
        path: str,
        query: Mapping[str, Any],
        read: Callable[[bytes], T],
    ) -> Told[T]:
        wait_s = _FIRST_WAIT_S
        for attempt in range(1, self._tries + 1):
            try:
                told = await self._once(path, query, read)
            except _Again as error:
                asked.labels(dataset, "failed").inc()
                if error.rest_s is not None:
                    self._gate.pace.rest(error.rest_s)
                if attempt == self._tries:
                    log.warning("elexon.failed", path=path, reason=str(error)[:300])
                    raise NoAnswer(str(error)) from error
            except NoAnswer as error:
                result = "not_there" if isinstance(error, NotThere) else "failed"
                asked.labels(dataset, result).inc()
                raise
            else:
                asked.labels(dataset, "answered").inc()
                return told
            await asyncio.sleep(wait_s * (0.5 + random.random()))  # noqa: S311  (jitter)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        raise AssertionError

    async def _once(
        self, path: str, query: Mapping[str, Any], read: Callable[[bytes], T]
    ) -> Told[T]:
        async with self._gate.places:
            try:
                await self._gate.pace.wait(self._patience_s)
                async with (
                    asyncio.timeout(self._timeout_s),
                    self._client.stream("GET", path, params=query) as response,
                ):
                    _check_status(response)
                    body = await _body(response)
            except TooLong as error:
                raise Resting(str(error)) from error
            except (TimeoutError, httpx.TimeoutException) as error:
                raise _Again(f"no answer in {self._timeout_s:g} s") from error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise _Again(f"the connection failed: {error!r:.200}") from error
        simulated = response.headers.get(_SIMULATED, "").lower() == "true"
        try:
            return Told(body, read(body), now(), simulated)
        except Nonsense as error:
            raise _Again(str(error)) from error


@asynccontextmanager
async def open_elexon(
    url: str,
    gate: Gate,
    *,
    timeout_s: float = 30.0,
    tries: int = 4,
    patience_s: float = 5.0,
) -> AsyncGenerator[Elexon]:
    """Hold connections to the API open.

    tries: how often a call is made before it failed.
    patience_s: how long a call waits while the party rests; if it wants longer, the call failed.
    """
    elexon = Elexon(url, gate, timeout_s=timeout_s, tries=tries, patience_s=patience_s)
    try:
        yield elexon
    finally:
        await elexon.close()


def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status == _OK:
        return
    if status == _NOT_FOUND:
        raise NotThere("status 404: there is no such period, or it is not published")
    if status == _TOO_MANY:
        wanted_s = _rest_of(response)
        rests_s = _USUAL_REST_S if wanted_s is None else wanted_s
        raise _Again("status 429: asked too often", rests_s)
    if status == _UNAVAILABLE:
        raise _Again("status 503", _rest_of(response))
    if status >= _SERVER_ERROR:
        raise _Again(f"status {status}")
    raise NoAnswer(f"status {status}")


async def _body(response: httpx.Response) -> bytes:
    parts = bytearray()
    async for part in response.aiter_bytes():  # after decompression: a bomb counts in full
        parts += part
        if len(parts) > MAX_ANSWER_BYTES:
            raise _Again(f"more than {MAX_ANSWER_BYTES} bytes")
    return bytes(parts)


@cache
def _tls() -> ssl.SSLContext:
    """Return the trust that all share: to load it takes some 20 ms."""
    return httpx.create_ssl_context()


def _rest_of(response: httpx.Response) -> float | None:
    return rest_s(response.headers.get("Retry-After", ""), now())


def rest_s(retry_after: str, at: datetime) -> float | None:
    """Return how long a party wants to rest, in seconds or until a date; None: it does not say."""
    if retry_after.isascii() and retry_after.isdigit():
        return min(float(retry_after), _LONGEST_REST_S)
    try:
        until = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    until = until.replace(tzinfo=until.tzinfo or UTC)
    return min(max((until - at).total_seconds(), 0.0), _LONGEST_REST_S)


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")


def _day_end(day: date) -> datetime:
    """Return the start of the day's last period: both ends of a span are included."""
    return day_start(day + timedelta(days=1)) - timedelta(minutes=30)
