"""The only module that knows ccxt: asks venues, and hands on typed answers or a `VenueFailed`.

Loading ccxt takes most of a second; only the market's worker imports this. Each venue has one
client for the life of the worker, its markets loaded once, closed at the end.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import ccxt.async_support as ccxt

from common.clock import now
from intelligence.domain.candles import HIGHEST_PRICE, MOST_VOLUME, Bar, Interval
from intelligence.market.exchanges import EXCHANGES, Exchange

_MAX_BODY_BYTES = 8 * 1024 * 1024
_AHEAD = timedelta(minutes=1)
_SIMULATED = "x-simulated"
_LATEST_MS = 32_503_680_000_000  # the year 3000
_LONGEST_REASON = 200
_NAN = Decimal("NaN")
_NO_PAIR = "the venue has no such market"


class VenueFailed(Exception):
    """A venue could not be asked, or what it said cannot be used."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class VenueTicker:
    """What a venue says a bitcoin costs."""

    price_usd: Decimal
    bid_usd: Decimal | None
    ask_usd: Decimal | None
    volume_btc_24h: Decimal | None
    at: datetime
    simulated: bool


class _Capped(aiohttp.ClientResponse):
    """An answer that is read up to a limit: a hostile one must not fill the memory."""

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Return the decoded body."""
        parts: list[bytes] = []
        size = 0
        async for part in self.content.iter_chunked(65_536):
            size += len(part)
            if size > _MAX_BODY_BYTES:
                self.close()
                msg = f"the answer is larger than {_MAX_BODY_BYTES} bytes"
                raise aiohttp.ClientPayloadError(msg)
            parts.append(part)
        return b"".join(parts).decode(encoding or "utf-8", errors)


class Venue:
    """One exchange, asked by one client, one question at a time."""

    def __init__(self, exchange: Exchange, base_url: str, client: Any) -> None:
        self.exchange = exchange
        self.simulated: bool | None = None
        """Whether its last answer said that it is simulated; None before the first."""
        self._client = client
        self._one_at_a_time = asyncio.Lock()
        self._prepared = False
        client.urls["api"] = _moved(client.urls["api"], base_url.rstrip("/"))

    async def prepare(self) -> None:
        """Load the markets, unless they are.

        Raises:
            VenueFailed: it cannot be asked.
        """
        await self._ask(_nothing)

    async def ticker(self) -> VenueTicker:
        """Ask for the price.

        Raises:
            VenueFailed: it cannot be asked, or there is no price in what it says.
        """
        said = await self._ask(lambda: self._client.fetch_ticker(self.exchange.symbol))
        received = now()
        at = _time(said.get("timestamp")) or received
        if at > received + _AHEAD:
            raise VenueFailed(f"the price is of {at.isoformat()}, which is in the future")
        price = _decimal(said.get("last"))
        if not price.is_finite() or not 0 < price <= HIGHEST_PRICE:
            raise VenueFailed(f"{said.get('last')!r} is no price")
        bid, ask = _within(said.get("bid")), _within(said.get("ask"))
        crossed = bid is not None and ask is not None and bid > ask
        return VenueTicker(
            price_usd=price,
            bid_usd=None if crossed else bid,
            ask_usd=None if crossed else ask,
            volume_btc_24h=_within(said.get("baseVolume"), MOST_VOLUME, zero=True),
            at=min(at, received),
            simulated=bool(self.simulated),
        )

    async def bars(self, interval: Interval, since: datetime, limit: int) -> list[Bar]:
        """Ask for bars that opened from `since` on; as the venue says them, not yet checked.

        Raises:
            VenueFailed: it cannot be asked, or answers no table.
        """
        symbol, since_ms = self.exchange.symbol, round(since.timestamp() * 1000)
        said = await self._ask(
            lambda: self._client.fetch_ohlcv(symbol, interval.value, since_ms, limit)
        )
        try:
            return [self._bar(row) for row in cast("Iterable[Any]", said)]
        except (TypeError, ValueError) as error:
            raise VenueFailed(f"the candles are no table: {error}") from error

    def _bar(self, row: Any) -> Bar:
        opened_at, *values = row
        at = _time(opened_at)
        if at is None:
            msg = f"{opened_at!r} is no time"
            raise ValueError(msg)
        return Bar(at, *(_decimal(value) for value in values), simulated=bool(self.simulated))

    async def _ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self.exchange.timeout_s * 2):
                    await self._prepare()
                    answer = await question()
            except VenueFailed:
                raise
            except Exception as error:
                # A library that parses whatever a venue says raises whatever it likes.
                raise VenueFailed(_reason(error), self._retry_after_s(error)) from error
            self._note_origin()
            if not self._said_something():
                raise VenueFailed("the answer is empty or no JSON")
            return answer

    def _said_something(self) -> bool:
        """Return whether the last answer was JSON: ccxt takes an HTML page for no candles."""
        told: Any = self._client.last_json_response
        return told is not None and told != {}

    async def _prepare(self) -> None:
        if self._prepared:
            return
        await self._client.load_markets(True, dict(self.exchange.only))  # noqa: FBT003  (reload)
        self._note_origin()
        if self.exchange.symbol not in (self._client.markets or {}):
            raise VenueFailed(_NO_PAIR)
        self._prepared = True

    def _note_origin(self) -> None:
        self.simulated = self._headers().get(_SIMULATED, "").lower() == "true"

    def _headers(self) -> dict[str, str]:
        told: Mapping[str, str] = self._client.last_response_headers or {}
        return {name.lower(): value for name, value in told.items()}

    def _retry_after_s(self, error: Exception) -> float | None:
        if not isinstance(error, ccxt.DDoSProtection | ccxt.RateLimitExceeded):
            return None
        told = self._headers().get("retry-after", "")
        return float(told) if told.isdecimal() else 60.0


async def _nothing() -> None:
    return None


@asynccontextmanager
async def open_venues(
    urls: Mapping[str, str], exchanges: Iterable[Exchange] = EXCHANGES
) -> AsyncGenerator[list[Venue]]:
    """Open the venues that have a URL; close them at the end."""
    async with AsyncExitStack() as stack:
        opened: list[Venue] = []
        for exchange in exchanges:
            if url := urls.get(exchange.name, ""):
                client = await stack.enter_async_context(_client(exchange))
                opened.append(Venue(exchange, url, client))
        yield opened


@asynccontextmanager
async def _client(exchange: Exchange) -> AsyncGenerator[Any]:
    make = getattr(ccxt, exchange.name)
    client: Any = make(
        {
            "enableRateLimit": True,
            "timeout": round(exchange.timeout_s * 1000),
            "options": dict(exchange.options),
            "enableLastHttpResponse": False,
            "enableLastJsonResponse": True,
        }
    )
    client.timeout_on_exit = 0  # it would sleep before it lets go
    client.has["fetchCurrencies"] = False  # nobody needs them, and some ask for a key
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=client.cafile), limit=4)
    async with aiohttp.ClientSession(connector=connector, response_class=_Capped) as session:
        client.session, client.own_session = session, False
        try:
            yield client
        finally:
            await client.close()


def _moved(places: Any, base_url: str) -> Any:
    """Return a venue's addresses with another beginning and the same paths."""
    if isinstance(places, dict):
        named = cast("dict[str, Any]", places)
        return {name: _moved(place, base_url) for name, place in named.items()}
    return base_url + urlsplit(str(places)).path


def _time(milliseconds: Any) -> datetime | None:
    value = _decimal(milliseconds)
    if not value.is_finite() or not 0 <= value <= _LATEST_MS:
        return None
    return datetime.fromtimestamp(int(value) / 1000, UTC)


def _decimal(value: Any) -> Decimal:
    """Return a figure as it was told; what is none is no number."""
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return _NAN


def _within(value: Any, most: Decimal = HIGHEST_PRICE, *, zero: bool = False) -> Decimal | None:
    """Return a figure that makes sense, or None: it is told beside the price, not needed."""
    figure = _decimal(value)
    if not figure.is_finite() or not 0 <= figure <= most:
        return None
    return figure if figure or zero else None


def _reason(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return "".join(sign if sign.isprintable() else " " for sign in said)[:_LONGEST_REASON]
