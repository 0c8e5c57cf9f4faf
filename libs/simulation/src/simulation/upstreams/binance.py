"""Binance: spot BTC/USDT and BTC/USDC, the linear perpetual and the coin-margined one."""

from typing import Any

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall, text
from simulation.upstreams.prices import DAY_S
from simulation.upstreams.venue import EXPIRES_NEVER_MS, LISTED_MS, Day, day, whole

STALL = Stall(offset_bps=0.0, period_hours=19.0, volume_btc_per_day=24_000.0, tick_usd=0.01)
STEPS_S = {
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "4h": 14400,
    "6h": 21600,
    "8h": 28800,
    "12h": 43200,
    "1d": DAY_S,
    "3d": 3 * DAY_S,
}
SPOT_LIMIT, CONTRACT_LIMIT = 1000, 1500
BAD_SYMBOL = Refusal(400, {"code": -1121, "msg": "Invalid symbol."})
BAD_INTERVAL = Refusal(400, {"code": -1120, "msg": "Invalid interval."})
BAD_PARAMETER = Refusal(400, {"code": -1100, "msg": "Illegal characters found in a parameter."})
COIN_CONTRACT_USD = 100.0
SPOT = ("BTCUSDT", "BTCUSDC")


def ping(ask: Ask) -> object:
    del ask
    return {}


def server_time(ask: Ask) -> object:
    return {"serverTime": ask.said_ms(ask.now_s)}


def spot_info(ask: Ask) -> object:
    """Answer the spot pairs."""
    return _info(ask, [_pair(symbol) for symbol in SPOT])


def linear_info(ask: Ask) -> object:
    return _info(ask, [_pair("BTCUSDT") | _perpetual("USDT") | {"status": "TRADING"}])


def inverse_info(ask: Ask) -> object:
    perpetual = _perpetual("BTC") | {"contractStatus": "TRADING", "contractSize": 100}
    pair = _pair("BTCUSD") | perpetual | {"symbol": "BTCUSD_PERP", "pair": "BTCUSD"}
    return _info(ask, [{key: value for key, value in pair.items() if key != "status"}])


def spot_ticker(ask: Ask) -> object:
    """Answer the rolling day of one pair, or of all."""
    wanted = ask.query.get("symbol")
    if wanted is None:
        return [_ticker(day(ask), symbol) for symbol in SPOT]
    return _ticker(day(ask), _known(wanted, *SPOT))


def linear_ticker(ask: Ask) -> object:
    ticker = _ticker(day(ask), _known(ask.query.get("symbol", "BTCUSDT"), "BTCUSDT"))
    told = {key: value for key, value in ticker.items() if key not in {"bidQty", "askQty"}}
    return told if "symbol" in ask.query else [told]


def inverse_ticker(ask: Ask) -> object:
    """Answer the coin-margined day, whose volume counts contracts of 100 USD."""
    found = day(ask)
    ticker = _ticker(found, _known(ask.query.get("symbol", "BTCUSD_PERP"), "BTCUSD_PERP"))
    return [
        ticker
        | {
            "pair": "BTCUSD",
            "volume": text(found.turnover_usd / COIN_CONTRACT_USD, 0),
            "baseVolume": text(found.volume_btc, 8),
        }
    ]


def price_ticker(ask: Ask) -> object:
    symbol = _known(ask.query.get("symbol", "BTCUSDT"), *SPOT)
    return {"symbol": symbol, "price": text(ask.told(ask.price_usd()), 8)}


def spot_klines(ask: Ask) -> object:
    """Answer spot candles, at most 1,000, oldest first."""
    _known(ask.query.get("symbol", ""), *SPOT)
    return _klines(ask, SPOT_LIMIT, inverse=False)


def linear_klines(ask: Ask) -> object:
    _known(ask.query.get("symbol", ""), "BTCUSDT")
    return _klines(ask, CONTRACT_LIMIT, inverse=False)


def inverse_klines(ask: Ask) -> object:
    _known(ask.query.get("symbol", ""), "BTCUSD_PERP")
    return _klines(ask, CONTRACT_LIMIT, inverse=True)


def _klines(ask: Ask, most: int, *, inverse: bool) -> list[list[Any]]:
    step_s = STEPS_S.get(ask.query.get("interval", ""))
    if step_s is None:
        raise BAD_INTERVAL
    limit = min(whole(ask.query.get("limit"), 500, BAD_PARAMETER) or 500, most)
    now_ms = int(ask.now_s * 1000)
    end_ms = min(whole(ask.query.get("endTime"), now_ms, BAD_PARAMETER), now_ms)
    newest_ms = end_ms // (step_s * 1000) * step_s * 1000
    earliest_ms = newest_ms - (limit - 1) * step_s * 1000
    start_ms = whole(ask.query.get("startTime"), earliest_ms, BAD_PARAMETER)
    first_ms = max(-(-start_ms // (step_s * 1000)) * step_s * 1000, LISTED_MS)
    end_s = min(end_ms / 1000 + 0.001, first_ms / 1000 + limit * step_s)
    bars = ask.spoiled(ask.bars(first_ms / 1000, end_s, step_s))
    rows = zip(
        (bars.time_s * 1000).tolist(),
        bars.open.tolist(),
        bars.high.tolist(),
        bars.low.tolist(),
        bars.close.tolist(),
        bars.volume.tolist(),
        strict=True,
    )
    return ask.mangled([_kline(row, step_s, inverse=inverse) for row in rows])


def _kline(row: tuple[Any, ...], step_s: int, *, inverse: bool) -> list[Any]:
    opened_ms, open_usd, high_usd, low_usd, close_usd, volume_btc = row
    turnover_usd = volume_btc * (open_usd + close_usd) / 2
    quantity = turnover_usd / COIN_CONTRACT_USD if inverse else volume_btc
    other = volume_btc if inverse else turnover_usd
    return [
        opened_ms,
        text(open_usd, 8),
        text(high_usd, 8),
        text(low_usd, 8),
        text(close_usd, 8),
        text(quantity, 0 if inverse else 8),
        opened_ms + step_s * 1000 - 1,
        text(other, 8),
        int(volume_btc * 60),
        text(quantity / 2, 8),
        text(other / 2, 8),
        "0",
    ]


def _ticker(found: Day, symbol: str) -> dict[str, Any]:
    change = found.last - found.open
    return {
        "symbol": symbol,
        "priceChange": text(change, 8),
        "priceChangePercent": text(change / found.open * 100, 3),
        "weightedAvgPrice": text(found.turnover_usd / found.volume_btc, 8),
        "prevClosePrice": text(found.open, 8),
        "lastPrice": text(found.last, 8),
        "lastQty": "0.00731000",
        "bidPrice": text(found.bid, 8),
        "bidQty": "7.15931000",
        "askPrice": text(found.ask, 8),
        "askQty": "4.09592000",
        "openPrice": text(found.open, 8),
        "highPrice": text(found.high, 8),
        "lowPrice": text(found.low, 8),
        "volume": text(found.volume_btc, 8),
        "quoteVolume": text(found.turnover_usd, 8),
        "openTime": found.at_ms - DAY_S * 1000,
        "closeTime": found.at_ms,
        "firstId": 1,
        "lastId": int(found.volume_btc * 60),
        "count": int(found.volume_btc * 60),
    }


def _info(ask: Ask, symbols: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "timezone": "UTC",
        "serverTime": ask.said_ms(ask.now_s),
        "rateLimits": [],
        "symbols": symbols,
    }


def _pair(symbol: str) -> dict[str, Any]:
    base, quote = symbol[:3], symbol[3:]
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "permissions": [],
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": "0.01000000",
                "maxPrice": "1000000.00000000",
                "tickSize": "0.01000000",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": "0.00001000",
                "maxQty": "9000.00000000",
                "stepSize": "0.00001000",
            },
            {"filterType": "NOTIONAL", "minNotional": "5.00000000", "maxNotional": "9000000.0"},
        ],
    }


def _perpetual(margin: str) -> dict[str, Any]:
    return {
        "contractType": "PERPETUAL",
        "deliveryDate": EXPIRES_NEVER_MS,
        "onboardDate": LISTED_MS,
        "marginAsset": margin,
        "underlyingType": "COIN",
        "pricePrecision": 2,
        "quantityPrecision": 3,
    }


def _known(symbol: str, *known: str) -> str:
    if symbol not in known:
        raise BAD_SYMBOL
    return symbol


ROUTES: dict[str, Handler] = {
    "GET /api/v3/ping": ping,
    "GET /api/v3/time": server_time,
    "GET /api/v3/exchangeInfo": spot_info,
    "GET /api/v3/ticker/24hr": spot_ticker,
    "GET /api/v3/ticker/price": price_ticker,
    "GET /api/v3/klines": spot_klines,
    "GET /fapi/v1/exchangeInfo": linear_info,
    "GET /fapi/v1/ticker/24hr": linear_ticker,
    "GET /fapi/v1/klines": linear_klines,
    "GET /dapi/v1/exchangeInfo": inverse_info,
    "GET /dapi/v1/ticker/24hr": inverse_ticker,
    "GET /dapi/v1/klines": inverse_klines,
}
