"""Blockchain.info's query API (plain text), statistics, ticker and charts."""

import math

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall
from simulation.upstreams.chain import (
    BLOCKS,
    FIRST_START_S,
    HASHES_PER_DIFFICULTY,
    SATS,
    issued_sat,
    subsidy_sat,
)
from simulation.upstreams.prices import DAY_S, VOLUME_BTC_PER_DAY

STALL = Stall(offset_bps=-2.0, period_hours=53.0)
USD_TO = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79, "JPY": 151.0, "CAD": 1.38, "AUD": 1.52}
UNITS_S = {"minute": 60, "hour": 3600, "day": DAY_S, "week": 7 * DAY_S, "month": 30 * DAY_S}
GIGA = 1e9


def difficulty_text(ask: Ask) -> object:
    """Answer the difficulty in scientific notation, as this provider writes it."""
    return _scientific(ask.told(ask.chain.epoch_at(ask.now_s).difficulty))


def day_price_text(ask: Ask) -> object:
    """Answer the price averaged over the last day."""
    day = ask.bars(ask.now_s - DAY_S, ask.now_s, 60)
    mean = float((day.close * day.volume).sum() / day.volume.sum()) if len(day) else 0.0
    return _plain(ask.told(mean))


def hashrate_text(ask: Ask) -> object:
    """Answer the network's hashrate in gigahashes."""
    return _plain(ask.told(_day_hashrate_ghs(ask)))


def block_count_text(ask: Ask) -> object:
    return str(ask.height)


def latest_hash_text(ask: Ask) -> object:
    return ask.chain.hash_of(ask.height)


def subsidy_text(ask: Ask) -> object:
    """Answer the new coins of a block, in bitcoin."""
    return f"{subsidy_sat(ask.height) / SATS:.8f}"


def coins_text(ask: Ask) -> object:
    """Answer all coins so far, in satoshi."""
    return str(issued_sat(ask.height))


def next_retarget_text(ask: Ask) -> object:
    return str((ask.height // BLOCKS + 1) * BLOCKS)


def interval_text(ask: Ask) -> object:
    """Answer the seconds between blocks over the last day."""
    return _plain(DAY_S / max(_day_blocks(ask), 1))


def eta_text(ask: Ask) -> object:
    """Answer the seconds until the next block is due."""
    age_s = ask.now_s - ask.chain.block(ask.height).time_s
    return _plain(max(600.0 - age_s, 0.0))


def hashes_to_win_text(ask: Ask) -> object:
    return _scientific(ask.told(ask.chain.epoch_at(ask.now_s).difficulty) * HASHES_PER_DIFFICULTY)


def market_cap_text(ask: Ask) -> object:
    return _plain(ask.told(ask.price_usd() * issued_sat(ask.height) / SATS))


def stats(ask: Ask) -> object:
    """Answer the day's statistics; amounts of coins are satoshi, hashrate is GH/s."""
    height = ask.height
    blocks = ask.chain.blocks(height - _day_blocks(ask) + 1, height)
    mined = sum(block.subsidy_sat for block in blocks)
    fees = sum(block.fees_sat for block in blocks)
    price = ask.told(ask.price_usd())
    return {
        "timestamp": ask.said_ms(ask.now_s),
        "market_price_usd": price,
        "hash_rate": ask.told(_day_hashrate_ghs(ask)),
        "total_fees_btc": fees,
        "n_btc_mined": mined,
        "n_tx": sum(block.transactions for block in blocks),
        "n_blocks_mined": len(blocks),
        "minutes_between_blocks": round(1440 / max(len(blocks), 1), 4),
        "totalbc": issued_sat(height),
        "n_blocks_total": height,
        "blocks_size": sum(block.size_bytes for block in blocks),
        "miners_revenue_usd": (mined + fees) / SATS * price,
        "miners_revenue_btc": round((mined + fees) / SATS),
        "nextretarget": (height // BLOCKS + 1) * BLOCKS,
        "difficulty": ask.told(ask.chain.epoch_at(ask.now_s).difficulty),
        "trade_volume_btc": VOLUME_BTC_PER_DAY,
        "trade_volume_usd": VOLUME_BTC_PER_DAY * price,
    }


def ticker(ask: Ask) -> object:
    """Answer the price in several currencies."""
    price = ask.price_usd()
    told = {code: ask.told(round(price * rate, 2)) for code, rate in USD_TO.items()}
    return {
        code: {"15m": value, "last": value, "buy": value, "sell": value, "symbol": code}
        for code, value in told.items()
    }


def latest_block(ask: Ask) -> object:
    block = ask.chain.block(ask.height)
    return {
        "hash": ask.chain.hash_of(block.height),
        "time": int(ask.said_s(block.time_s)),
        "block_index": block.height,
        "height": block.height,
        "txIndexes": [],
    }


def chart(ask: Ask) -> object:
    """Answer a daily series: difficulty, hash-rate (TH/s) or market-price."""
    figures = {"difficulty": _difficulty_on, "hash-rate": _hashrate_on, "market-price": _price_on}
    name = ask.path["name"]
    if name not in figures:
        raise Refusal(404, {"status": "error", "error": f"No chart named {name}"})
    today_s = int(ask.now_s) // DAY_S * DAY_S
    first_s = max(today_s - _timespan_s(ask.query.get("timespan", "1year")), FIRST_START_S + DAY_S)
    moments = range(math.ceil(first_s / DAY_S) * DAY_S, today_s + 1, DAY_S)
    values = [{"x": at_s, "y": ask.told(figures[name](ask, at_s))} for at_s in moments]
    return {"status": "ok", "name": name, "period": "day", "values": ask.mangled(values)}


def _difficulty_on(ask: Ask, at_s: int) -> float:
    return ask.chain.epoch_at(at_s).difficulty


def _hashrate_on(ask: Ask, at_s: int) -> float:
    return ask.chain.hashes_per_s_between(at_s - DAY_S, at_s) / 1e12


def _price_on(ask: Ask, at_s: int) -> float:
    return ask.price_usd(at_s)


def _timespan_s(written: str) -> int:
    if written == "all":
        return 40 * 365 * DAY_S
    digits = "".join(letter for letter in written if letter.isdecimal()) or "1"
    unit = written.lstrip("0123456789").rstrip("s")
    return int(digits) * (365 * DAY_S if unit == "year" else UNITS_S.get(unit, DAY_S))


def _day_blocks(ask: Ask) -> int:
    return ask.height - ask.chain.height_at(ask.now_s - DAY_S)


def _day_hashrate_ghs(ask: Ask) -> float:
    return ask.chain.hashes_per_s_between(ask.now_s - DAY_S, ask.now_s) / GIGA


def _plain(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else _scientific(value)


def _scientific(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "1E400"
    mantissa, _, exponent = f"{value:.13E}".partition("E")
    return f"{mantissa}E{int(exponent)}"


ROUTES: dict[str, Handler] = {
    "GET /q/getdifficulty": difficulty_text,
    "GET /q/24hrprice": day_price_text,
    "GET /q/hashrate": hashrate_text,
    "GET /q/getblockcount": block_count_text,
    "GET /q/latesthash": latest_hash_text,
    "GET /q/bcperblock": subsidy_text,
    "GET /q/totalbc": coins_text,
    "GET /q/nextretarget": next_retarget_text,
    "GET /q/interval": interval_text,
    "GET /q/eta": eta_text,
    "GET /q/hashestowin": hashes_to_win_text,
    "GET /q/marketcap": market_cap_text,
    "GET /stats": stats,
    "GET /ticker": ticker,
    "GET /latestblock": latest_block,
    "GET /charts/{name}": chart,
}
