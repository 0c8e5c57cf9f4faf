"""How one market is made of many readings: whose figure counts, and what contradicts it.

CoinGecko and Blockchain.info are asked for price and network, mempool.space and Ankr stand behind
them; the median of the exchanges and what a person recorded by hand come after. Whichever figure
counts, the others check it: more than 2 % apart is a warning, never an error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from calculator.domain.market import Market, Valued
from calculator.domain.network import implied_hashrate_ehs, subsidy_btc
from calculator.domain.readings import Kind, Reading

PRICE_FRESH_S = 300
NETWORK_FRESH_S = 900
MANUAL = "manual"
RECKONED = "reckoned"
"""By the clock, from the last block that everybody knows."""
EXCHANGES = "exchanges"
PAIRS = {"coingecko": 1, "blockchain": 1, "mempool": 2, "ankr": 2}
"""The two pairs of providers that check each other."""
TOLERANCE_PERCENT = Decimal(2)

_GRACE_S = 60
"""So long an answer may be under way before its predecessor is called stale."""
_MANUAL_FRESH_S = 86_400
_OLDEST_PRICE_S = 3_600
_OLDEST_BLOCK_S = 6 * 3_600
"""A party that answers with a figure older than this has lost touch itself; blocks may be late."""
_ORDER: dict[Kind, tuple[str, ...]] = {
    Kind.PRICE_USD: ("coingecko", "mempool", MANUAL),
    Kind.DIFFICULTY: ("blockchain", "ankr", "mempool", MANUAL),
    Kind.HEIGHT: ("mempool", "ankr", "blockchain", MANUAL, RECKONED),
    Kind.FEES_BTC_PER_BLOCK: ("mempool", "blockchain", MANUAL),
    Kind.HASHRATE_EHS: ("mempool", "ankr", "blockchain"),
}
_CHECKS = {Kind.PRICE_USD: "price", Kind.DIFFICULTY: "difficulty"}


@dataclass(frozen=True, slots=True)
class Unknown:
    """What no party has ever said."""

    kinds: tuple[Kind, ...]


def is_fresh(reading: Reading, now: datetime) -> bool:
    """Return whether a reading may be used without saying that it is old."""
    if reading.source == MANUAL:
        return now - reading.at <= timedelta(seconds=_MANUAL_FRESH_S)
    limits = (NETWORK_FRESH_S, _OLDEST_BLOCK_S)
    if reading.kind is Kind.PRICE_USD:
        limits = (PRICE_FRESH_S, _OLDEST_PRICE_S)
    asked_s, oldest_s = limits
    asked_lately = now - reading.asked_at <= timedelta(seconds=asked_s + _GRACE_S)
    return asked_lately and now - reading.at <= timedelta(seconds=oldest_s)


def assemble(readings: Iterable[Reading], now: datetime) -> Market | Unknown:
    """Return the market as far as it is known, or what is missing for it."""
    known = list(readings)
    chosen = {kind: choose(known, kind, now) for kind in Kind}
    price, difficulty = chosen[Kind.PRICE_USD], chosen[Kind.DIFFICULTY]
    height, fees = chosen[Kind.HEIGHT], chosen[Kind.FEES_BTC_PER_BLOCK]
    measured = chosen[Kind.HASHRATE_EHS]
    if price is None or difficulty is None or height is None:
        wanted = (Kind.PRICE_USD, Kind.DIFFICULTY, Kind.HEIGHT)
        return Unknown(tuple(kind for kind in wanted if chosen[kind] is None))
    return Market(
        price_usd=_valued(price, now),
        difficulty=_valued(difficulty, now),
        subsidy_btc=_subsidy(height, now),
        fees_btc_per_block=_no_fees(now) if fees is None else _valued(fees, now),
        height=int(height.value),
        second_price_usd=_second_price(known, price, now),
        second_network_hashrate_ehs=_second_hashrate(known, difficulty, now),
        warnings=(
            *_contradictions(known, price, now),
            *_contradictions(known, difficulty, now),
            *_age_warnings((price, difficulty, height), now),
            *(() if fees else ("Nobody says what fees a block carries; none are counted.",)),
        ),
        measured_hashrate_ehs=None if measured is None else _valued(measured, now),
    )


def choose(readings: Sequence[Reading], kind: Kind, now: datetime) -> Reading | None:
    """Return the reading that counts: the first party with a fresh one, else the youngest."""
    order = _ORDER[kind]
    found = [one for one in readings if one.kind is kind and one.source in order]
    providers = [one for one in found if one.source in PAIRS]
    fresh = [one for one in providers if is_fresh(one, now)]
    if fresh:
        return min(fresh, key=lambda one: order.index(one.source))
    return max(found, key=lambda one: one.at, default=None)


def differ_percent(one: Decimal, other: Decimal) -> Decimal:
    """Return how far two figures lie apart, in percent of the smaller."""
    return abs(one - other) / min(one, other) * 100


def _valued(reading: Reading, now: datetime) -> Valued:
    stale = not is_fresh(reading, now)
    return Valued(reading.value, reading.source, reading.at, stale, reading.simulated)


def _subsidy(height: Reading, now: datetime) -> Valued:
    """Return the next block's subsidy: it is what a machine that runs now works for."""
    worth = subsidy_btc(int(height.value) + 1)
    stale = not is_fresh(height, now)
    source = "height by the clock" if height.source == RECKONED else f"height from {height.source}"
    return Valued(worth, source, height.at, stale, height.simulated)


def _no_fees(now: datetime) -> Valued:
    return Valued(Decimal(0), "none", now, stale=True)


def _others(readings: Sequence[Reading], chosen: Reading, now: datetime) -> list[Reading]:
    return [
        one
        for one in readings
        if one.kind is chosen.kind
        and one.source not in (chosen.source, MANUAL)
        and is_fresh(one, now)
        and (chosen.simulated or not one.simulated)  # a simulated figure contradicts no true one
    ]


def _second_price(readings: Sequence[Reading], price: Reading, now: datetime) -> Valued | None:
    """Return another party's price: the other pair's, else the exchanges'."""
    others = _others(readings, price, now)
    best = min(others, key=lambda one: one.source == EXCHANGES, default=None)
    return None if best is None else _valued(best, now)


def _second_hashrate(
    readings: Sequence[Reading], difficulty: Reading, now: datetime
) -> Valued | None:
    """Return the network's hashrate by the pair that the difficulty is not from."""
    pair = PAIRS.get(difficulty.source)
    others = [one for one in readings if one.source in PAIRS and PAIRS[one.source] != pair]
    found = choose(others, Kind.DIFFICULTY, now)
    if found is None:
        measured = choose(others, Kind.HASHRATE_EHS, now)
        return None if measured is None else _valued(measured, now)
    return replace(_valued(found, now), value=implied_hashrate_ehs(found.value))


def _contradictions(readings: Sequence[Reading], chosen: Reading, now: datetime) -> list[str]:
    name = _CHECKS[chosen.kind]
    return [
        f"The {name} of {chosen.source} ({_short(chosen.value)}) and of {one.source} "
        f"({_short(one.value)}) differ by {apart:.1f} %."
        for one in _others(readings, chosen, now)
        if (apart := differ_percent(chosen.value, one.value)) > TOLERANCE_PERCENT
    ]


def _age_warnings(figures: Iterable[Reading], now: datetime) -> list[str]:
    return [
        f"The {one.kind.removesuffix('_usd')} is {_age(now - one.at)} old: nobody says a newer one."
        for one in figures
        if not is_fresh(one, now)
    ]


def _age(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds()) // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004  (two hours)


def _short(value: Decimal) -> str:
    return f"{value:.2f}" if value < 10**9 else f"{value:.6g}"
