"""OKX: spot BTC-USDT, BTC-USDC and the linear and coin-margined swaps."""

from typing import Any

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall, text
from simulation.upstreams.prices import DAY_S
from simulation.upstreams.venue import LISTED_MS, day, whole

STALL = Stall(offset_bps=2.0, period_hours=31.0, volume_btc_per_day=9_000.0, tick_usd=0.1)
STEPS_S = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1H": 3600,
    "2H": 7200,
    "4H": 14400,
    "6H": 21600,
    "12H": 43200,
    "1D": DAY_S,
}
HONG_KONG_S = 8 * 3600  # long bars without the suffix utc begin at its midnight
MOST, NEWEST = 300, 1440
SPOT, SWAPS = ("BTC-USDT", "BTC-USDC"), ("BTC-USDT-SWAP", "BTC-USD-SWAP")
CONTRACT = {"BTC-USDT-SWAP": 0.01, "BTC-USD-SWAP": 100.0}  # bitcoin, US dollars


def _error(code: str, reason: str, status: int = 200) -> Refusal:
    return Refusal(status, {"code": code, "msg": reason, "data": []})


BAD_INSTRUMENT = _error("51001", "Instrument ID does not exist")
BAD_PARAMETER = _error("51000", "Parameter error")


def instruments(ask: Ask) -> object:
    """Answer the instruments of one type."""
    kind = ask.query.get("instType", "")
    if kind == "SPOT":
        return _data([_spot(each) for each in SPOT])
    if kind == "SWAP":
        return _data([_swap(each) for each in SWAPS])
    if kind in {"FUTURES", "OPTION"}:
        return _data([])
    raise BAD_PARAMETER


def ticker(ask: Ask) -> object:
    """Answer the rolling day of one instrument."""
    return _data([_ticker(ask, _known(ask))])


def tickers(ask: Ask) -> object:
    kinds = {"SPOT": SPOT, "SWAP": SWAPS}
    return _data([_ticker(ask, each) for each in kinds.get(ask.query.get("instType", ""), ())])


def candles(ask: Ask) -> object:
    """Answer the newest candles, newest first, at most 300 and none of the last 1,440 past."""
    return _candles(ask, newest_only=True)


def history_candles(ask: Ask) -> object:
    """Answer complete candles of any age, newest first, at most 300."""
    return _candles(ask, newest_only=False)


def server_time(ask: Ask) -> object:
    return _data([{"ts": str(ask.said_ms(ask.now_s))}])


def _candles(ask: Ask, *, newest_only: bool) -> object:
    """Return rows that open after `before` and before `after`, as this venue names them."""
    instrument = _known(ask)
    step_s, offset_s = _step(ask.query.get("bar", "1m"))
    limit = min(whole(ask.query.get("limit"), 100, BAD_PARAMETER) or 100, MOST)
    newest_s = (int(ask.now_s) - offset_s) // step_s * step_s + offset_s
    end_ms = whole(ask.query.get("after"), (newest_s + step_s) * 1000, BAD_PARAMETER)
    end_s = min(end_ms / 1000, newest_s + (step_s if newest_only else 0))
    past_s = end_s - limit * step_s
    before_ms = ask.query.get("before")
    start_s = (whole(before_ms, 0, BAD_PARAMETER) + 1) / 1000 if before_ms else past_s
    oldest_s = newest_s - (NEWEST - 1) * step_s if newest_only else LISTED_MS / 1000
    bars = ask.spoiled(ask.bars(max(start_s, past_s, oldest_s), end_s, step_s, offset_s))
    rows = zip(
        bars.time_s.tolist(),
        bars.open.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.close.tolist(),
        bars.volume.tolist(),
        strict=True,
    )
    told = [_candle(row, instrument, complete=row[0] + step_s <= ask.now_s) for row in rows]
    return _data(ask.mangled(told[::-1]))


def _candle(row: tuple[Any, ...], instrument: str, *, complete: bool) -> list[str]:
    at_s, open_usd, high_usd, low_usd, close_usd, volume_btc = row
    turnover_usd = volume_btc * (open_usd + close_usd) / 2
    quantity = volume_btc
    if instrument == "BTC-USDT-SWAP":
        quantity = volume_btc / CONTRACT[instrument]
    elif instrument == "BTC-USD-SWAP":
        quantity = turnover_usd / CONTRACT[instrument]
    in_coins = turnover_usd if instrument in SPOT else volume_btc
    return [
        str(at_s * 1000),
        text(open_usd, 1),
        text(high_usd, 1),
        text(low_usd, 1),
        text(close_usd, 1),
        text(quantity, 8),
        text(in_coins, 8),
        text(turnover_usd, 8),
        "1" if complete else "0",
    ]


def _step(bar: str) -> tuple[int, int]:
    step_s = STEPS_S.get(bar.removesuffix("utc"))
    if step_s is None or (bar.endswith("utc") and step_s < STEPS_S["6H"]):
        raise BAD_PARAMETER
    local = step_s >= STEPS_S["6H"] and not bar.endswith("utc")
    return step_s, -HONG_KONG_S % step_s if local else 0


def _ticker(ask: Ask, instrument: str) -> dict[str, Any]:
    found = day(ask)
    spot = instrument in SPOT
    contracts = {
        "BTC-USDT-SWAP": found.volume_btc / CONTRACT["BTC-USDT-SWAP"],
        "BTC-USD-SWAP": found.turnover_usd / CONTRACT["BTC-USD-SWAP"],
    }
    return {
        "instType": "SPOT" if spot else "SWAP",
        "instId": instrument,
        "last": text(found.last, 1),
        "lastSz": "0.0443",
        "askPx": text(found.ask, 1),
        "askSz": "4.2",
        "bidPx": text(found.bid, 1),
        "bidSz": "6.05",
        "open24h": text(found.open, 1),
        "high24h": text(found.high, 1),
        "low24h": text(found.low, 1),
        "vol24h": text(contracts.get(instrument, found.volume_btc), 8),
        "volCcy24h": text(found.turnover_usd if spot else found.volume_btc, 8),
        "ts": str(found.at_ms),
        "sodUtc0": text(found.open, 1),
        "sodUtc8": text(found.open, 1),
    }


def _spot(instrument: str) -> dict[str, Any]:
    base, _, quote = instrument.partition("-")
    return _common(instrument, "SPOT") | {"baseCcy": base, "quoteCcy": quote, "lever": "10"}


def _swap(instrument: str) -> dict[str, Any]:
    underlying = instrument.removesuffix("-SWAP")
    inverse = underlying == "BTC-USD"
    return _common(instrument, "SWAP") | {
        "uly": underlying,
        "instFamily": underlying,
        "settleCcy": "BTC" if inverse else "USDT",
        "ctType": "inverse" if inverse else "linear",
        "ctVal": "100" if inverse else "0.01",
        "ctMult": "1",
        "ctValCcy": "USD" if inverse else "BTC",
        "lotSz": "1" if inverse else "0.01",
        "minSz": "1" if inverse else "0.01",
        "lever": "100",
    }


def _common(instrument: str, kind: str) -> dict[str, Any]:
    return {
        "instId": instrument,
        "instType": kind,
        "baseCcy": "",
        "quoteCcy": "",
        "settleCcy": "",
        "uly": "",
        "instFamily": "",
        "ctType": "",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "expTime": "",
        "optType": "",
        "stk": "",
        "listTime": str(LISTED_MS),
        "lotSz": "0.00000001",
        "minSz": "0.00001",
        "tickSz": "0.1",
        "state": "live",
    }


def _known(ask: Ask) -> str:
    instrument = ask.query.get("instId", "")
    if instrument not in (*SPOT, *SWAPS):
        raise BAD_INSTRUMENT
    return instrument


def _data(rows: list[Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": rows}


ROUTES: dict[str, Handler] = {
    "GET /api/v5/public/time": server_time,
    "GET /api/v5/public/instruments": instruments,
    "GET /api/v5/market/ticker": ticker,
    "GET /api/v5/market/tickers": tickers,
    "GET /api/v5/market/candles": candles,
    "GET /api/v5/market/history-candles": history_candles,
}
