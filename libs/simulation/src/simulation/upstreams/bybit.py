"""Bybit: spot BTC/USDT, the linear and the coin-margined perpetual."""

from typing import Any

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall, text
from simulation.upstreams.prices import DAY_S
from simulation.upstreams.venue import LISTED_MS, day, whole

STALL = Stall(offset_bps=3.0, period_hours=61.0, volume_btc_per_day=12_000.0, tick_usd=0.1)
STEPS_S = {
    "1": 60,
    "3": 180,
    "5": 300,
    "15": 900,
    "30": 1800,
    "60": 3600,
    "120": 7200,
    "240": 14400,
    "360": 21600,
    "720": 43200,
    "D": DAY_S,
}
MOST = 1000
SYMBOLS = {
    "spot": ("BTCUSDT", "BTCUSDC"),
    "linear": ("BTCUSDT",),
    "inverse": ("BTCUSD",),
    "option": (),
}


def _error(code: int, reason: str) -> Refusal:
    return Refusal(200, {"retCode": code, "retMsg": reason, "result": {}, "retExtInfo": {}})


BAD_PARAMETER = _error(10001, "params error")
BAD_SYMBOL = _error(10001, "symbol params err")


def server_time(ask: Ask) -> object:
    at_ms = ask.said_ms(ask.now_s)
    return _result(ask, {"timeSecond": str(at_ms // 1000), "timeNano": str(at_ms * 1_000_000)})


def instruments(ask: Ask) -> object:
    """Answer the instruments of a category; none waits for its launch."""
    category = _category(ask)
    listed = () if ask.query.get("status") == "PreLaunch" else SYMBOLS[category]
    rows = [_instrument(category, symbol) for symbol in listed]
    return _result(ask, {"category": category, "list": rows, "nextPageCursor": ""})


def tickers(ask: Ask) -> object:
    """Answer the rolling day of one symbol, or of the whole category."""
    category = _category(ask)
    wanted = ask.query.get("symbol")
    if wanted is not None and wanted not in SYMBOLS[category]:
        raise BAD_SYMBOL
    symbols = SYMBOLS[category] if wanted is None else (wanted,)
    rows = [_ticker(ask, category, symbol) for symbol in symbols]
    return _result(ask, {"category": category, "list": rows})


def klines(ask: Ask) -> object:
    """Answer candles, newest first, at most 1,000; from `start` on when only that is given."""
    category, symbol = _category(ask), ask.query.get("symbol", "")
    step_s = STEPS_S.get(ask.query.get("interval", ""))
    if symbol not in SYMBOLS[category]:
        raise BAD_SYMBOL
    if step_s is None:
        raise BAD_PARAMETER
    limit = min(whole(ask.query.get("limit"), 200, BAD_PARAMETER) or 200, MOST)
    start_s, end_s = _window(ask, limit, step_s)
    bars = ask.spoiled(ask.bars(max(start_s, LISTED_MS / 1000), end_s, step_s))
    rows = zip(
        bars.time_s.tolist(),
        bars.open.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.close.tolist(),
        bars.volume.tolist(),
        strict=True,
    )
    told = [_kline(row, inverse=category == "inverse") for row in rows]
    found = {"category": category, "symbol": symbol, "list": ask.mangled(told[::-1])}
    return _result(ask, found)


def _window(ask: Ask, limit: int, step_s: int) -> tuple[float, float]:
    """Return from when on and before when the asked candles open."""
    newest_s = int(ask.now_s) // step_s * step_s
    start, end = ask.query.get("start"), ask.query.get("end")
    end_s = min(whole(end, newest_s * 1000, BAD_PARAMETER) / 1000 + 0.001, ask.now_s + 0.001)
    if start is None:
        return end_s // step_s * step_s - (limit - 1) * step_s, end_s
    start_s = whole(start, 0, BAD_PARAMETER) / 1000
    if end is None:
        first_s = -(-start_s // step_s) * step_s
        return start_s, min(first_s + limit * step_s, ask.now_s + 0.001)
    return max(start_s, end_s // step_s * step_s - (limit - 1) * step_s), end_s


def _kline(row: tuple[Any, ...], *, inverse: bool) -> list[str]:
    at_s, open_usd, high_usd, low_usd, close_usd, volume_btc = row
    turnover_usd = volume_btc * (open_usd + close_usd) / 2
    first, second = (turnover_usd, volume_btc) if inverse else (volume_btc, turnover_usd)
    return [
        str(at_s * 1000),
        text(open_usd, 1),
        text(high_usd, 1),
        text(low_usd, 1),
        text(close_usd, 1),
        text(first, 6),
        text(second, 6),
    ]


def _ticker(ask: Ask, category: str, symbol: str) -> dict[str, Any]:
    found = day(ask)
    inverse = category == "inverse"
    told: dict[str, Any] = {
        "symbol": symbol,
        "lastPrice": text(found.last, 1),
        "bid1Price": text(found.bid, 1),
        "bid1Size": "1.25",
        "ask1Price": text(found.ask, 1),
        "ask1Size": "0.8",
        "prevPrice24h": text(found.open, 1),
        "price24hPcnt": text(found.last / found.open - 1, 6),
        "highPrice24h": text(found.high, 1),
        "lowPrice24h": text(found.low, 1),
        "volume24h": text(found.turnover_usd if inverse else found.volume_btc, 6),
        "turnover24h": text(found.volume_btc if inverse else found.turnover_usd, 6),
    }
    if category == "spot":
        return told | {"usdIndexPrice": text(found.last, 6)}
    return told | {
        "indexPrice": text(found.last, 1),
        "markPrice": text(found.last, 1),
        "openInterest": "51000",
        "openInterestValue": "4800000000",
        "fundingRate": "0.0001",
        "nextFundingTime": str((found.at_ms // 28_800_000 + 1) * 28_800_000),
        "deliveryTime": "0",
    }


def _instrument(category: str, symbol: str) -> dict[str, Any]:
    quote = symbol.removeprefix("BTC")
    told: dict[str, Any] = {
        "symbol": symbol,
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": quote,
        "priceFilter": {"tickSize": "0.1", "minPrice": "0.1", "maxPrice": "1999999.8"},
    }
    if category == "spot":
        lots = {"basePrecision": "0.000001", "quotePrecision": "0.0000001"}
        lots |= {"minOrderQty": "0.000011", "maxOrderQty": "83", "minOrderAmt": "5"}
        return told | {"marginTrading": "utaOnly", "lotSizeFilter": lots}
    inverse = category == "inverse"
    return told | {
        "contractType": "InversePerpetual" if inverse else "LinearPerpetual",
        "settleCoin": "BTC" if inverse else quote,
        "launchTime": str(LISTED_MS),
        "deliveryTime": "0",
        "fundingInterval": 480,
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "lotSizeFilter": {
            "qtyStep": "1" if inverse else "0.001",
            "minOrderQty": "1" if inverse else "0.001",
            "maxOrderQty": "25000000" if inverse else "1190",
            "minNotionalValue": "5",
        },
    }


def _category(ask: Ask) -> str:
    category = ask.query.get("category", "linear")
    if category not in SYMBOLS:
        raise BAD_PARAMETER
    return category


def _result(ask: Ask, result: dict[str, Any]) -> dict[str, Any]:
    return {
        "retCode": 0,
        "retMsg": "OK",
        "result": result,
        "retExtInfo": {},
        "time": ask.said_ms(ask.now_s),
    }


ROUTES: dict[str, Handler] = {
    "GET /v5/market/time": server_time,
    "GET /v5/market/instruments-info": instruments,
    "GET /v5/market/tickers": tickers,
    "GET /v5/market/kline": klines,
}
