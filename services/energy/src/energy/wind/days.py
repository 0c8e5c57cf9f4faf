"""Bringing a day to what its newest answers say: one transaction, under the day's lock."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from energy.domain.settlement import periods_of
from energy.domain.wind import sort_stack
from energy.facts.models import NetworkEpoch
from energy.wind.answers import stored_stack
from energy.wind.fetching import DATASETS, SIDES
from energy.wind.miners import DifficultyUnavailable, Miner, epochs_of, rates_of
from energy.wind.models import ElexonAnswer, SettlementDay, SettlementPeriod
from energy.wind.sql import copy, lock_day, replacing, run
from energy.wind.summary_models import BitcoinRate
from energy.wind.sums import sum_up
from energy.wind.units import Registered, units_on

_KEYS = (
    "settlement_date", "settlement_period", "side", "farm_id", "acceptance_id",
    "bid_offer_pair_id", "sequence_number",
)  # fmt: skip
_VALUES = (
    "lead_party_name", "volume", "payment", "original_price", "final_price", "so_flag",
    "cadl_flag", "stor_flag", "run_stamp",
)  # fmt: skip
_STAGE = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_record (settlement_date date, "
    "settlement_period smallint, side text, farm_id text, acceptance_id bigint, "
    "bid_offer_pair_id smallint, sequence_number integer, lead_party_name text, volume numeric, "
    "payment numeric, original_price numeric, final_price numeric, so_flag boolean, "
    "cadl_flag boolean, stor_flag boolean, run_stamp timestamptz) ON COMMIT DELETE ROWS"
)
_RECORDS = replacing(
    "curtailment_records",
    keys=_KEYS,
    values=_VALUES,
    stage="staged_record",
    scope="x.settlement_date = :day AND x.settlement_period = ANY(:numbers)",
)
_new_period = insert(SettlementPeriod)
_WRITE_PERIODS = _new_period.on_conflict_do_update(
    index_elements=["settlement_date", "settlement_period"],
    set_={
        name: _new_period.excluded[name]
        for name in ("run_stamp", "rows", "records", "records_any", "excluded", "simulated")
    }
    # A period that failed stays failed: its older figures stand, and it says so.
    | {"status": func.coalesce(func.nullif(SettlementPeriod.status, "fetched"), "complete")},
)
COMPLETE, INCOMPLETE = "complete", "incomplete"
NO_DIFFICULTY = "difficulty_unavailable"
NOT_CALCULATED = "not_calculated"


@dataclass(frozen=True, slots=True)
class Stored:
    """Both stacks of a period as they are kept."""

    period: int
    bodies: Mapping[str, bytes]
    run_stamp: datetime | None
    rows: int
    simulated: bool


@dataclass(slots=True)
class Read:
    """What was read from a period's stacks."""

    stored: Stored
    records: list[tuple[Any, ...]] = field(default_factory=list[tuple[Any, ...]])
    flagged: int = 0
    excluded: dict[str, dict[str, list[int]]] = field(
        default_factory=dict[str, dict[str, list[int]]]
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What applying a day came to."""

    day: date
    changed: int
    """Rows written or deleted, in all tables of the day."""
    status: str
    bitcoin_status: str
    missing_periods: list[int]


async def apply_day(
    runtime: Runtime, day: date, miners: Sequence[Miner], *, strict: bool = False
) -> Outcome:
    """Make rows, bitcoin and summaries of a day what its newest answers say.

    miners: beside those that the day was calculated for before, which stay right too.
    strict: a difficulty that is not known is an error; otherwise bitcoin waits for it.
    """
    async with runtime.worker_session() as session:
        await lock_day(session, day)
        stored = await _stored(session, day)
        units = await units_on(session, day)
        read = await asyncio.to_thread(_read_all, day, stored, units)
        return await _bring(session, day, read, miners, strict=strict)


async def _stored(session: AsyncSession, day: date) -> list[Stored]:
    """Return the newest answers of the periods of which both stacks are known."""
    newest = (
        select(ElexonAnswer)
        .where(ElexonAnswer.settlement_date == day, ElexonAnswer.dataset.in_(DATASETS))
        .ext(distinct_on(ElexonAnswer.dataset, ElexonAnswer.settlement_period))
        .order_by(ElexonAnswer.dataset, ElexonAnswer.settlement_period, ElexonAnswer.id.desc())
    )
    by_period: dict[int, dict[str, ElexonAnswer]] = {}
    for answer in await session.scalars(newest):
        by_period.setdefault(answer.settlement_period, {})[answer.dataset] = answer
    return [
        Stored(
            period=period,
            bodies={dataset: both[dataset].body for dataset in DATASETS},
            run_stamp=max((one.run_stamp for one in both.values() if one.run_stamp), default=None),
            rows=sum(one.rows for one in both.values()),
            simulated=any(one.simulated for one in both.values()),
        )
        for period, both in sorted(by_period.items())
        if len(both) == len(DATASETS)
    ]


def _read_all(day: date, stored: Sequence[Stored], units: Mapping[str, Registered]) -> list[Read]:
    fuels = {name: unit.fuel_type for name, unit in units.items()}
    return [_read(day, one, units, fuels) for one in stored]


def _read(
    day: date,
    stored: Stored,
    units: Mapping[str, Registered],
    fuels: Mapping[str, str | None],
) -> Read:
    read = Read(stored)
    for side, dataset in zip(SIDES, DATASETS, strict=True):
        rows = stored_stack(stored.bodies[dataset], day, stored.period)
        found = sort_stack(side, rows, fuels)
        if found.excluded:
            read.excluded[side] = {str(reason): places for reason, places in found.excluded.items()}
        for row in found.kept:
            unit = row.unit or ""
            read.flagged += row.so_flag
            read.records.append(
                (
                    day, stored.period, side, unit, row.acceptance_id or 0, row.pair_id or 0,
                    row.sequence_number, units[unit].lead_party_name, row.volume_mwh,
                    row.payment_gbp, row.original_price, row.final_price, row.so_flag,
                    row.cadl_flag, row.stor_flag, row.created_at,
                )
            )  # fmt: skip
    return read


async def _bring(
    session: AsyncSession,
    day: date,
    read: Sequence[Read],
    miners: Sequence[Miner],
    *,
    strict: bool,
) -> Outcome:
    numbers = [one.stored.period for one in read]
    changed = await _write_records(session, day, read)
    states = await _write_periods(session, day, read)
    missing = [n for n in range(1, len(periods_of(day)) + 1) if states.get(n) != COMPLETE]
    chosen = await _with_earlier(session, day, miners)
    epochs = await epochs_of(session, day)
    if strict:
        _refuse_unknown(day, numbers, epochs)
    known = {number: epoch for number, epoch in epochs.items() if number in numbers}
    simulated = any(one.stored.simulated for one in read)
    changed += await sum_up(
        session,
        day,
        rates_of(known, chosen),
        known_periods=numbers,
        periods_complete=len(periods_of(day)) - len(missing),
        complete=not missing,
        simulated=simulated,
    )
    bitcoin = _bitcoin_status(chosen, numbers, epochs, complete=not missing)
    outcome = Outcome(day, changed, INCOMPLETE if missing else COMPLETE, bitcoin, missing)
    await _write_day(session, outcome, read, chosen, simulated=simulated)
    return outcome


async def _write_records(session: AsyncSession, day: date, read: Sequence[Read]) -> int:
    await session.execute(_STAGE)
    await copy(
        session, "staged_record", (*_KEYS, *_VALUES), [row for one in read for row in one.records]
    )
    delete, add = _RECORDS
    numbers = [one.stored.period for one in read]
    return await run(session, delete, day=day, numbers=numbers) + await run(session, add)


async def _write_periods(session: AsyncSession, day: date, read: Sequence[Read]) -> dict[int, str]:
    """Note what was read of each period, and return the state of every period that has one."""
    starts = {one.number: one.start for one in periods_of(day)}
    rows = [
        {
            "organisation_id": PLATFORM_ORGANISATION,
            "settlement_date": day,
            "settlement_period": one.stored.period,
            "starts_at": starts[one.stored.period],
            "status": COMPLETE,
            "attempts": 0,
            "run_stamp": one.stored.run_stamp,
            "rows": one.stored.rows,
            "records": one.flagged,
            "records_any": len(one.records),
            "excluded": one.excluded,
            "simulated": one.stored.simulated,
        }
        for one in read
    ]
    if rows:
        await session.execute(_WRITE_PERIODS, rows)
    found = await session.execute(
        select(SettlementPeriod.settlement_period, SettlementPeriod.status).where(
            SettlementPeriod.settlement_date == day
        )
    )
    return {row[0]: row[1] for row in found}


async def _with_earlier(session: AsyncSession, day: date, miners: Sequence[Miner]) -> list[Miner]:
    """Return the chosen miners and those of earlier calculations, as those were specified."""
    names = {miner.name for miner in miners}
    rows = await session.execute(
        select(
            BitcoinRate.miner_model,
            BitcoinRate.model_id,
            BitcoinRate.hashrate_ths,
            BitcoinRate.power_w,
        )
        .where(BitcoinRate.settlement_date == day)
        .ext(distinct_on(BitcoinRate.miner_model))
        .order_by(BitcoinRate.miner_model, BitcoinRate.settlement_period.desc())
    )
    return [*miners, *(Miner(*row) for row in rows if row[0] not in names)]


def _refuse_unknown(day: date, numbers: Sequence[int], epochs: Mapping[int, NetworkEpoch]) -> None:
    unknown = [number for number in numbers if number not in epochs]
    if unknown:
        raise DifficultyUnavailable(
            f"The difficulty is not known at the start of period {unknown[0]} of {day}.",
            retry_after_s=60,
        )


def _bitcoin_status(
    miners: Sequence[Miner],
    numbers: Sequence[int],
    epochs: Mapping[int, NetworkEpoch],
    *,
    complete: bool,
) -> str:
    if not miners or not numbers:
        return NOT_CALCULATED
    if any(number not in epochs for number in numbers):
        return NO_DIFFICULTY
    return COMPLETE if complete else INCOMPLETE


async def _write_day(
    session: AsyncSession,
    outcome: Outcome,
    read: Sequence[Read],
    miners: Sequence[Miner],
    *,
    simulated: bool,
) -> None:
    excluded: Counter[str] = Counter()
    for one in read:
        for reasons in one.excluded.values():
            excluded.update({reason: len(places) for reason, places in reasons.items()})
    expected = len(periods_of(outcome.day))
    values: dict[str, Any] = {
        "status": outcome.status,
        "periods_expected": expected,
        "periods_complete": expected - len(outcome.missing_periods),
        "missing_periods": outcome.missing_periods,
        "bitcoin_status": outcome.bitcoin_status,
        "miner_models": sorted(miner.name for miner in miners),
        "records": sum(one.flagged for one in read),
        "excluded": dict(sorted(excluded.items())),
        "run_stamp": max(
            (one.stored.run_stamp for one in read if one.stored.run_stamp), default=None
        ),
        "simulated": simulated,
    }
    row = await session.get(SettlementDay, outcome.day)
    if row is None:
        session.add(
            SettlementDay(
                settlement_date=outcome.day,
                revision=1,
                changed_at=now(),
                verified_at=None,
                **values,
            )
        )
    else:
        for name, value in values.items():
            setattr(row, name, value)
        if outcome.changed:
            row.revision += 1
            row.changed_at = now()
    await session.flush()
