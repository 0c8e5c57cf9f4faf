"""Deribit: the coin-margined perpetual and spot BTC/USDC."""

from typing import Any

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall
from simulation.upstreams.prices import DAY_S
from simulation.upstreams.venue import LISTED_MS, day, whole

STALL = Stall(offset_bps=-3.0, period_hours=43.0, volume_btc_per_day=6_000.0, tick_usd=0.5)
STEPS_S = {
    "1": 60,
    "3": 180,
    "5": 300,
    "10": 600,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "180": 10800,
    "360": 21600,
    "720": 43200,
    "1D": DAY_S,
}
MOST = 5000
PERPETUAL, SPOT = "BTC-PERPETUAL", "BTC_USDC"
EXPIRES_NEVER_MS = 32_503_708_800_000


def _bad(parameter: str) -> Refusal:
    error = {"code": -32602, "message": "Invalid params", "data": {"param": parameter}}
    return Refusal(400, {"jsonrpc": "2.0", "error": error, "testnet": False})


def instruments(ask: Ask) -> object:
    """Answer the instruments, of one currency or kind if asked."""
    currency, kind = ask.query.get("currency", "any"), ask.query.get("kind", "any")
    found = [_perpetual(), _spot()]
    if currency != "any":
        found = [each for each in found if each["base_currency"] == currency]
    if kind != "any":
        found = [each for each in found if each["kind"] == kind]
    return _result(ask, found)


def currencies(ask: Ask) -> object:
    return _result(ask, [{"currency": "BTC", "currency_long": "Bitcoin", "coin_type": "BITCOIN"}])


def ticker(ask: Ask) -> object:
    """Answer the book's best prices and the rolling day."""
    instrument = _known(ask)
    found = day(ask)
    told: dict[str, Any] = {
        "timestamp": found.at_ms,
        "stats": {
            "volume": found.volume_btc,
            "volume_usd": found.turnover_usd,
            "volume_notional": found.turnover_usd,
            "price_change": (found.last / found.open - 1) * 100,
            "low": found.low,
            "high": found.high,
        },
        "state": "open",
        "min_price": found.last * 0.985,
        "max_price": found.last * 1.015,
        "mark_price": found.last,
        "last_price": found.last,
        "index_price": found.last,
        "instrument_name": instrument,
        "best_bid_price": found.bid,
        "best_bid_amount": 19470.0,
        "best_ask_price": found.ask,
        "best_ask_amount": 34328.0,
    }
    if instrument == PERPETUAL:
        told |= {"open_interest": 1_115_438_500, "funding_8h": 0.00001, "current_funding": 0.0}
    return _result(ask, told)


def index_price(ask: Ask) -> object:
    """Answer the index the contracts settle on."""
    if ask.query.get("index_name") not in {"btc_usd", "btc_usdc", "btc_usdt"}:
        raise _bad("index_name")
    price = ask.told(ask.price_usd())
    return _result(ask, {"index_price": price, "estimated_delivery_price": price})


def chart(ask: Ask) -> object:
    """Answer candles as columns, oldest first; of more than 5,000 the newest."""
    _known(ask)
    step_s = STEPS_S.get(ask.query.get("resolution", ""))
    if step_s is None:
        raise _bad("resolution")
    start_ms = whole(ask.query.get("start_timestamp", "-"), 0, _bad("start_timestamp"))
    end_ms = whole(ask.query.get("end_timestamp", "-"), 0, _bad("end_timestamp"))
    if end_ms < start_ms:
        raise _bad("end_timestamp")
    end_s = min(end_ms / 1000, ask.now_s) + 0.001
    start_s = max(start_ms / 1000, end_s - MOST * step_s, LISTED_MS / 1000)
    bars = ask.spoiled(ask.bars(start_s, end_s, step_s))
    rows: list[tuple[Any, ...]] = ask.mangled(
        list(
            zip(
                (bars.time_s * 1000).tolist(),
                bars.open.tolist(),
                bars.high.tolist(),
                bars.low.tolist(),
                bars.close.tolist(),
                bars.volume.tolist(),
                (bars.volume * bars.close).tolist(),
                strict=True,
            )
        )
    )
    names = ("ticks", "open", "high", "low", "close", "volume", "cost")
    columns = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    return _result(ask, columns | {"status": "ok" if rows else "no_data"})


def server_time(ask: Ask) -> object:
    return _result(ask, ask.said_ms(ask.now_s))


def _perpetual() -> dict[str, Any]:
    return {
        "instrument_name": PERPETUAL,
        "kind": "future",
        "future_type": "reversed",
        "instrument_type": "reversed",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "counter_currency": "USD",
        "settlement_currency": "BTC",
        "settlement_period": "perpetual",
        "tick_size": 0.5,
        "min_trade_amount": 10.0,
        "contract_size": 10.0,
        "taker_commission": 0.0005,
        "maker_commission": 0.0,
        "max_leverage": 50,
        "is_active": True,
        "expiration_timestamp": EXPIRES_NEVER_MS,
        "creation_timestamp": LISTED_MS,
    }


def _spot() -> dict[str, Any]:
    return {
        "instrument_name": SPOT,
        "kind": "spot",
        "instrument_type": "linear",
        "base_currency": "BTC",
        "quote_currency": "USDC",
        "counter_currency": "USDC",
        "tick_size": 0.5,
        "min_trade_amount": 0.0001,
        "contract_size": 0.0001,
        "taker_commission": 0.0,
        "maker_commission": 0.0,
        "is_active": True,
        "expiration_timestamp": EXPIRES_NEVER_MS,
        "creation_timestamp": LISTED_MS,
    }


def _known(ask: Ask) -> str:
    instrument = ask.query.get("instrument_name", "")
    if instrument not in {PERPETUAL, SPOT}:
        raise _bad("instrument_name")
    return instrument


def _result(ask: Ask, result: object) -> dict[str, Any]:
    now_us = ask.said_ms(ask.now_s) * 1000
    return {
        "jsonrpc": "2.0",
        "result": result,
        "usIn": now_us,  # the venue's own word; codespell:ignore usin
        "usOut": now_us + 300,
        "usDiff": 300,
        "testnet": False,
    }


ROUTES: dict[str, Handler] = {
    "GET /api/v2/public/get_time": server_time,
    "GET /api/v2/public/get_currencies": currencies,
    "GET /api/v2/public/get_instruments": instruments,
    "GET /api/v2/public/ticker": ticker,
    "GET /api/v2/public/get_index_price": index_price,
    "GET /api/v2/public/get_tradingview_chart_data": chart,
}
