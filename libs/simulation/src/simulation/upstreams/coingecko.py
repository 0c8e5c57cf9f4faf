"""CoinGecko's public API: simple price and market charts of bitcoin."""

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall
from simulation.upstreams.chain import SATS, issued_sat
from simulation.upstreams.prices import DAY_S, HOUR_S, VOLUME_BTC_PER_DAY

STALL = Stall(offset_bps=1.0, period_hours=37.0)
USD_TO = {"usd": 1.0, "eur": 0.92, "gbp": 0.79, "jpy": 151.0, "cad": 1.38, "aud": 1.52, "chf": 0.88}
PUBLIC_DAYS = 365  # further back is for paying users
HOURLY_DAYS = 90
CANDLE_STEPS_S = ((2, 1800), (30, 4 * HOUR_S))


def ping(ask: Ask) -> object:
    """Answer that the service lives."""
    del ask
    return {"gecko_says": "simulated"}


def simple_price(ask: Ask) -> object:
    """Answer the price in the asked currencies, with what else was asked for."""
    if not ask.query.get("ids") or not ask.query.get("vs_currencies"):
        missing = "ids" if not ask.query.get("ids") else "vs_currencies"
        raise Refusal(422, {"error": f"Missing parameter {missing}"})
    if "bitcoin" not in ask.query["ids"].split(","):
        return {}
    told: dict[str, float] = {}
    for currency in ask.query["vs_currencies"].lower().split(","):
        if currency in USD_TO:
            told |= _price_in(ask, currency)
    if _wants(ask, "include_last_updated_at"):
        told["last_updated_at"] = int(ask.said_s(ask.now_s)) // 60 * 60
    return {"bitcoin": told}


def market_chart(ask: Ask) -> object:
    """Answer the last days: 5-minutely for one day, hourly to 90, daily beyond."""
    days_text = ask.query.get("days", "")
    if not days_text:
        raise Refusal(422, {"error": "Missing parameter days"})
    days = 4000.0 if days_text == "max" else _number(days_text)
    if days > PUBLIC_DAYS:
        raise Refusal(401, _beyond_public_history())
    step_s = _chart_step_s(days)
    if ask.query.get("interval") == "daily":
        step_s = DAY_S
    return _chart(ask, ask.now_s - days * DAY_S, ask.now_s, step_s)


def market_chart_range(ask: Ask) -> object:
    """Answer the prices between two moments."""
    start_s, end_s = _number(ask.query.get("from", "")), _number(ask.query.get("to", ""))
    if start_s < ask.now_s - PUBLIC_DAYS * DAY_S:
        raise Refusal(401, _beyond_public_history())
    days = (end_s - start_s) / DAY_S
    step_s = _chart_step_s(days)
    return _chart(ask, start_s, min(end_s, ask.now_s), step_s)


def ohlc(ask: Ask) -> object:
    """Answer candles: half-hourly for two days, 4-hourly to 30, every four days beyond."""
    days = _number(ask.query.get("days", ""))
    if days > PUBLIC_DAYS:
        raise Refusal(401, _beyond_public_history())
    step_s = next((step_s for most, step_s in CANDLE_STEPS_S if days <= most), 4 * DAY_S)
    rate = _rate(ask)
    bars = ask.spoiled(ask.bars(ask.now_s - days * DAY_S, ask.now_s, step_s)).priced(rate)
    closes_ms = ((bars.time_s + step_s) * 1000).tolist()
    columns = (bars.open.tolist(), bars.high.tolist(), bars.low.tolist(), bars.close.tolist())
    return ask.mangled([list(row) for row in zip(closes_ms, *columns, strict=True)])


def _price_in(ask: Ask, currency: str) -> dict[str, float]:
    price = ask.price_usd() * USD_TO[currency]
    day = ask.bars(ask.now_s - DAY_S, ask.now_s, 60)
    told = {currency: ask.told(round(price, _places(ask)))}
    if _wants(ask, "include_market_cap"):
        told[f"{currency}_market_cap"] = price * _coins(ask, ask.now_s)
    if _wants(ask, "include_24hr_vol"):
        told[f"{currency}_24h_vol"] = price * float(day.volume.sum())
    if _wants(ask, "include_24hr_change"):
        then = float(day.open[0]) * USD_TO[currency]
        told[f"{currency}_24h_change"] = (price / then - 1.0) * 100.0
    return told


def _chart_step_s(days: float) -> int:
    if days <= 1:
        return 300
    return HOUR_S if days <= HOURLY_DAYS else DAY_S


def _chart(ask: Ask, start_s: float, end_s: float, step_s: int) -> object:
    """Return points at the steps, and the newest price last, as the real chart has it."""
    rate = _rate(ask)
    bars = ask.spoiled(ask.bars(start_s, end_s, step_s)).priced(rate)
    rows = list(zip((bars.time_s * 1000).tolist(), bars.open.tolist(), strict=True))
    if end_s >= ask.now_s:
        rows.append((ask.said_ms(ask.now_s), ask.told(ask.price_usd() * rate)))
    rows = ask.mangled(rows)
    coins = _coins(ask, ask.now_s)
    return {
        "prices": rows,
        "market_caps": [(at_ms, price * coins) for at_ms, price in rows],
        "total_volumes": [(at_ms, price * VOLUME_BTC_PER_DAY) for at_ms, price in rows],
    }


def _rate(ask: Ask) -> float:
    rate = USD_TO.get(ask.query.get("vs_currency", "").lower())
    if rate is None:
        raise Refusal(422, {"error": "Missing parameter vs_currency"})
    return rate


def _places(ask: Ask) -> int:
    precision = ask.query.get("precision", "0")
    if precision == "full":
        return 12
    return min(int(precision), 18) if precision.isdecimal() else 0


def _wants(ask: Ask, flag: str) -> bool:
    return ask.query.get(flag, "false").lower() == "true"


def _coins(ask: Ask, at_s: float) -> float:
    return issued_sat(ask.chain.height_at(at_s)) / SATS


def _number(written: str) -> float:
    if not written.replace(".", "", 1).isdecimal():
        raise Refusal(400, {"error": f"'{written}' is not a number"})
    return float(written)


def _beyond_public_history() -> object:
    reason = f"The public API reaches back {PUBLIC_DAYS} days. (simulated)"
    return {"error": {"status": {"error_code": 10012, "error_message": reason}}}


ROUTES: dict[str, Handler] = {
    "GET /api/v3/ping": ping,
    "GET /api/v3/simple/price": simple_price,
    "GET /api/v3/coins/bitcoin/market_chart": market_chart,
    "GET /api/v3/coins/bitcoin/market_chart/range": market_chart_range,
    "GET /api/v3/coins/bitcoin/ohlc": ohlc,
}
