"""The venues: which market of each, and how long its word counts. Asking them: `venues`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from intelligence.domain.candles import Interval


@dataclass(frozen=True, slots=True)
class Exchange:
    """A venue and the one market of it that is followed."""

    name: str
    pair: str
    """As people write it. Tether and USDC are taken for dollars; a depeg shows as disagreement."""
    symbol: str
    """As ccxt writes it."""
    only: Mapping[str, str]
    """What narrows the venue's list of markets to this one."""
    page: int
    """Bars that one question may ask for."""
    timeout_s: float = 10
    stale_after: timedelta = timedelta(minutes=3)
    lacks: frozenset[Interval] = field(default_factory=frozenset[Interval])
    options: Mapping[str, object] = field(default_factory=dict[str, object])


EXCHANGES = (
    Exchange(
        name="binance",
        pair="BTC/USDT",
        symbol="BTC/USDT",
        only={"symbol": "BTCUSDT"},
        page=1000,
        options={"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
    ),
    Exchange(
        name="okx",
        pair="BTC/USDT",
        symbol="BTC/USDT",
        only={"instId": "BTC-USDT"},
        page=100,
        options={"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
    ),
    Exchange(
        name="deribit",
        pair="BTC/USD perpetual",
        symbol="BTC/USD:BTC",
        only={"currency": "BTC", "kind": "future"},
        page=1000,
        stale_after=timedelta(minutes=5),
        lacks=frozenset({Interval.FOUR_HOURS}),
    ),
    Exchange(
        name="bybit",
        pair="BTC/USDT",
        symbol="BTC/USDT",
        only={"symbol": "BTCUSDT"},
        page=1000,
        options={"fetchMarkets": {"types": ["spot"]}, "defaultType": "spot"},
    ),
)
NAMES = frozenset(exchange.name for exchange in EXCHANGES)
