"""What stands beside the stacks: generation by type, system prices, notifications and meters."""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.runtime import Runtime
from energy.wind.answers import RUNS, Generation, Output, Price
from energy.wind.elexon import Elexon, NoAnswer, Parts, Told
from energy.wind.fetching import keep_answers
from energy.wind.sql import copy, run, writing
from energy.wind.units import wind_units_on

_GENERATION_COLUMNS = (
    "settlement_date", "settlement_period", "wind_onshore", "wind_offshore", "total_wind",
    "data_source", "published_at", "simulated",
)  # fmt: skip
_STAGE_GENERATION = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_generation (settlement_date date, "
    "settlement_period smallint, wind_onshore numeric, wind_offshore numeric, "
    "total_wind numeric, data_source text, published_at timestamptz, simulated boolean, "
    "last_updated timestamptz) ON COMMIT DELETE ROWS"
)
_WRITE_GENERATION = text(
    "INSERT INTO energy.wind_generation_data AS x (settlement_date, settlement_period, "
    "wind_onshore, wind_offshore, total_wind, data_source, published_at, simulated, last_updated) "
    "SELECT settlement_date, settlement_period, wind_onshore, wind_offshore, total_wind, "
    "data_source, published_at, simulated, last_updated FROM pg_temp.staged_generation "
    "ON CONFLICT (settlement_date, settlement_period) DO UPDATE SET "
    "wind_onshore = excluded.wind_onshore, wind_offshore = excluded.wind_offshore, "
    "total_wind = excluded.total_wind, data_source = excluded.data_source, "
    "published_at = excluded.published_at, simulated = excluded.simulated, "
    "last_updated = excluded.last_updated "
    "WHERE (x.wind_onshore, x.wind_offshore, x.total_wind) IS DISTINCT FROM "
    "(excluded.wind_onshore, excluded.wind_offshore, excluded.total_wind)"
)
_STAGE_PRICES = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_price (settlement_date date, "
    "settlement_period smallint, system_price numeric, net_imbalance_volume numeric, "
    "run_stamp timestamptz, simulated boolean) ON COMMIT DELETE ROWS"
)
_PRICE_VALUES = ("system_price", "net_imbalance_volume", "run_stamp", "simulated")
_WRITE_PRICES = writing(
    "system_prices",
    keys=("settlement_date", "settlement_period"),
    values=_PRICE_VALUES,
    query="SELECT settlement_date, settlement_period, system_price, net_imbalance_volume, "
    "run_stamp, simulated FROM pg_temp.staged_price",
)
_STAGE_OUTPUTS = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_output (settlement_date date, "
    "settlement_period smallint, farm_id text, notified_mwh numeric, metered_mwh numeric, "
    "simulated boolean) ON COMMIT DELETE ROWS"
)
_WRITE_OUTPUTS = text(
    "INSERT INTO energy.wind_outputs AS x (settlement_date, settlement_period, farm_id, "
    "notified_mwh, metered_mwh, simulated) SELECT settlement_date, settlement_period, farm_id, "
    "round(notified_mwh, 6), round(metered_mwh, 6), simulated FROM pg_temp.staged_output "
    "ON CONFLICT (settlement_date, settlement_period, farm_id) DO UPDATE SET "
    "notified_mwh = coalesce(excluded.notified_mwh, x.notified_mwh), "
    "metered_mwh = coalesce(excluded.metered_mwh, x.metered_mwh), simulated = excluded.simulated "
    "WHERE (coalesce(excluded.notified_mwh, x.notified_mwh), "
    "coalesce(excluded.metered_mwh, x.metered_mwh)) "
    "IS DISTINCT FROM (x.notified_mwh, x.metered_mwh)"
)


async def take_context(runtime: Runtime, elexon: Elexon, day: date) -> list[str]:
    """Take a day's generation and prices; return what failed, which harms no row."""
    failures = await asyncio.gather(
        take_generation(runtime, elexon, day, day), _take_prices(runtime, elexon, day)
    )
    return [failure for part in failures for failure in part]


async def _take_prices(runtime: Runtime, elexon: Elexon, day: date) -> list[str]:
    try:
        prices = await elexon.system_prices(day)
    except NoAnswer as error:
        return [f"system prices of {day}: {error}"[:300]]
    async with runtime.worker_session() as session:
        await keep_prices(session, day, prices)
    return []


async def take_generation(runtime: Runtime, elexon: Elexon, first: date, last: date) -> list[str]:
    """Take generation of some days, as many as `Elexon.generation` can; return what failed."""
    try:
        told = await elexon.generation(first, last)
    except NoAnswer as error:
        return [f"wind generation of {first}: {error}"[:300]]
    async with runtime.worker_session() as session:
        published = [one.published_at for one in told.rows if one.published_at]
        stamp = max(published, default=told.fetched_at)
        await keep_answers(session, first, [("generation", 0, told, stamp)])
        await keep_generation(session, told)
    return [
        f"wind generation of {one.day} period {one.period}: land or sea is not told"
        for one in told.rows
        if one.total_mw is None
    ]


async def keep_generation(session: AsyncSession, told: Told[list[Generation]]) -> int:
    """Keep generation by type; return how many periods changed. The days' sums follow later.

    A period of which one type is not told is not known: what was known of it stays.
    """
    rows = [
        (
            one.day, one.period, one.onshore_mw, one.offshore_mw, one.total_mw, "AGWS",
            one.published_at, told.simulated, now(),
        )
        for one in told.rows
        if one.total_mw is not None
    ]  # fmt: skip
    await session.execute(_STAGE_GENERATION)
    await copy(session, "staged_generation", (*_GENERATION_COLUMNS, "last_updated"), rows)
    return await run(session, _WRITE_GENERATION)


async def keep_prices(session: AsyncSession, day: date, told: Told[list[Price]]) -> int:
    """Keep a day's imbalance prices, and the answer itself; return how many changed."""
    stamps = [one.run_stamp for one in told.rows if one.run_stamp]
    stamp = max(stamps, default=told.fetched_at)
    await keep_answers(session, day, [("system-prices", 0, told, stamp)])
    rows = [
        (day, one.period, one.price, one.net_imbalance_volume, one.run_stamp, told.simulated)
        for one in told.rows
    ]
    await session.execute(_STAGE_PRICES)
    columns = ("settlement_date", "settlement_period", *_PRICE_VALUES)
    await copy(session, "staged_price", columns, rows)
    return await run(session, _WRITE_PRICES)


async def take_outputs(runtime: Runtime, elexon: Elexon, day: date) -> list[str]:
    """Take notifications and meters of the wind units of a day; return what failed."""
    async with runtime.worker_session() as session:
        units = await wind_units_on(session, day)
    if not units:
        return []
    failures: list[str] = []
    told: dict[str, Parts] = {"pn": [], "b1610": []}
    for name, ask in (("pn", elexon.notifications), ("b1610", elexon.metered)):
        try:
            told[name] = await ask(day, units)
        except NoAnswer as error:
            failures.append(f"{name} of {day}: {error}"[:300])
    async with runtime.worker_session() as session:
        for name, parts in told.items():
            await keep_answers(
                session,
                day,
                [(_of_run(name, one), part, one, one.fetched_at) for part, one in enumerate(parts)],
            )
        await keep_outputs(
            session, day, frozenset(units), notified=told["pn"], metered=told["b1610"]
        )
    return failures


def _of_run(name: str, told: Told[list[Output]]) -> str:
    """Return the name of a data set with the newest settlement run that its rows are of."""
    runs = {one.run for one in told.rows if one.run}
    return f"{name}/{max(runs, key=RUNS.index)}" if runs else name


async def keep_outputs(
    session: AsyncSession,
    day: date,
    units: frozenset[str],
    *,
    notified: Parts,
    metered: Parts,
) -> int:
    """Keep what units notified and were metered at; what is not told now stays as it was."""
    meant, counted = _energies(notified, units), _energies(metered, units)
    simulated = any(part.simulated for part in (*notified, *metered))
    rows: list[tuple[Any, ...]] = [
        (day, period, unit, meant.get((period, unit)), counted.get((period, unit)), simulated)
        for period, unit in sorted(meant.keys() | counted.keys())
    ]
    await session.execute(_STAGE_OUTPUTS)
    columns = (
        "settlement_date", "settlement_period", "farm_id", "notified_mwh", "metered_mwh",
        "simulated",
    )  # fmt: skip
    await copy(session, "staged_output", columns, rows)
    return await run(session, _WRITE_OUTPUTS)


def _energies(parts: Parts, units: frozenset[str]) -> dict[tuple[int, str], Decimal]:
    return {
        (one.period, one.bm_unit): one.mwh
        for part in parts
        for one in part.rows
        if one.bm_unit in units
    }
