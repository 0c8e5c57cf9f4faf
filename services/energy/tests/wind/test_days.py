"""A day from Elexon to every summary, and what a change of one half-hour changes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime
from energy.domain.settlement import periods_in
from energy.domain.wind import btc
from energy.wind.days import apply_day
from energy.wind.elexon import Elexon as Client
from energy.wind.miners import miners_named
from simulation.elexon import Edit, Elexon, Fault, Kind, Resource, Run

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]
Everything = Callable[..., Awaitable[dict[str, list[dict[str, Any]]]]]
SPECS = {
    "S19J_PRO": (Decimal(100), Decimal(3050)),
    "M20S": (Decimal(68), Decimal(3360)),
    "S9": (Decimal("13.5"), Decimal(1323)),
}
D1 = Decimal(110568428300952)
NEW_UNIT = text(
    "INSERT INTO energy.bm_units (id, bm_unit, name, farm_name, lead_party_name, fuel_type, "
    "valid_from, simulated) "
    "VALUES (gen_random_uuid(), :unit, :unit, :farm, 'Somebody else', 'WIND', :since, true)"
)
CLOSE_UNIT = text("UPDATE energy.bm_units SET valid_to = :day WHERE bm_unit = :unit")
FORGET_MONTHS = text("DELETE FROM energy.monthly_summaries")

pytestmark = pytest.mark.usefixtures("models", "epochs")


async def told_by_elexon(asking: Client, day: date) -> list[tuple[int, Any]]:
    """The rows of a day that count, worked out here by other means than the service's."""
    wind = {unit.bm_unit for unit in (await asking.bm_units()).rows if unit.fuel_type == "WIND"}
    found: list[tuple[int, Any]] = []
    for period in range(1, periods_in(day) + 1):
        stack = await asking.stack("bid", day, period)
        found += [
            (period, row)
            for row in stack.rows
            if row.unit in wind
            and row.so_flag
            and row.original_price is not None
            and (row.volume_mwh or 0) < 0
        ]
    return found


async def test_a_busy_day_is_taken_whole(
    asking: Client, rows: Rows, process: Process, day: date
) -> None:
    report = await process("reingest", day)
    assert report["complete"]
    wanted = await told_by_elexon(asking, day)
    records = [row for row in await rows("curtailment_records") if row["so_flag"]]
    assert len(records) == len(wanted) > 2000
    # Several acceptances of a unit in a period all count (the original kept one: 10 of 21).
    places = Counter((row["settlement_period"], row["farm_id"]) for row in records)
    assert max(places.values()) >= 3
    energy: Decimal = -sum((row.volume_mwh for _, row in wanted), Decimal())
    paid = sum(row.volume_mwh * row.original_price for _, row in wanted)
    [daily] = await rows("daily_summaries")
    assert daily["total_curtailed_energy"] == energy
    assert daily["total_payment"] == paid
    assert daily["total_curtailed_energy_any"] > energy
    assert daily["complete"]
    for name, spec in SPECS.items():
        [mined] = await rows("bitcoin_daily_summaries", "miner_model = :name", name=name)
        exact = btc(energy, *spec, D1, Decimal("3.125")).btc
        assert abs(mined["bitcoin_mined"] - exact) < Decimal("1e-14")
        assert mined["periods"] == 48
        assert mined["calculations"] == len(places)
    # Not twice: document 002's own 95,000 MWh are one day counted twice.
    assert Decimal(30_000) < energy < Decimal(60_000)


async def test_the_report_tells_everything(process: Process, day: date) -> None:
    report = await process("reingest", day)
    assert report["before"]["records"] == 0
    assert report["records"] > 2000
    assert report["periods"] == 48
    assert set(report["models"]) == set(SPECS)
    assert all(model["rows"] > 900 for model in report["models"].values())
    assert report["incomplete_days"] == report["defects"] == report["failures"] == []
    again = await process("reingest", day)
    assert again["before"] == {name: report[name] for name in again["before"]}
    assert again["rows_changed"] == 0


async def test_known_answer_10_again_and_again_changes_nothing(
    process: Process, everything: Everything, quiet: date
) -> None:
    await process("reingest", quiet)
    once = await everything()
    assert once["curtailment_records"]
    for _ in range(2):
        await process("reingest", quiet)
        assert await everything() == once  # not even the times of writing


async def test_known_answer_10_what_vanishes_upstream_vanishes_here(
    elexon: Elexon, rows: Rows, process: Process, quiet: date
) -> None:
    other = quiet + timedelta(days=1) if quiet.day < 28 else quiet - timedelta(days=1)
    await process("reingest", other)
    await process("reingest", quiet)
    [before] = await rows("daily_summaries", "summary_date = :day", day=quiet)
    untouched = await rows("daily_summaries", "summary_date = :day", day=other)
    [month], [year] = await rows("monthly_summaries"), await rows("yearly_summaries")
    coins = await rows("bitcoin_yearly_summaries")
    period = (await rows("curtailment_records", "settlement_date = :day AND so_flag", day=quiet))[
        0
    ]["settlement_period"]
    elexon.edit(Edit(quiet, period=period, side="bid", scale=0))
    await process("reingest", quiet)
    assert not await rows(
        "curtailment_records",
        "settlement_date = :day AND settlement_period = :period",
        day=quiet,
        period=period,
    )
    [after] = await rows("daily_summaries", "summary_date = :day", day=quiet)
    less = before["total_curtailed_energy"] - after["total_curtailed_energy"]
    assert less > 0
    [month_after], [year_after] = await rows("monthly_summaries"), await rows("yearly_summaries")
    for old, new in ((month, month_after), (year, year_after)):
        assert old["total_curtailed_energy"] - new["total_curtailed_energy"] == less
        assert old["records"] - new["records"] == before["records"] - after["records"]
    for old, new in zip(coins, await rows("bitcoin_yearly_summaries"), strict=True):
        fallen = old["bitcoin_mined"] - new["bitcoin_mined"]
        exact = btc(less, *SPECS[old["miner_model"]], D1, Decimal("3.125")).btc
        assert abs(fallen - exact) < Decimal("1e-14")
    assert await rows("daily_summaries", "summary_date = :day", day=other) == untouched


async def test_known_answer_12_an_empty_day_is_complete(
    elexon: Elexon, rows: Rows, process: Process
) -> None:
    calm = elexon.britain.next_of_kind(date(2025, 3, 1), Kind.CALM)
    for side in ("bid", "offer"):
        elexon.edit(Edit(calm, side=side, scale=0))
    report = await process("reingest", calm)
    assert report["complete"]
    [daily] = await rows("daily_summaries")
    assert (daily["total_curtailed_energy"], daily["records"]) == (0, 0)
    [stored] = await rows("settlement_days")
    assert (stored["status"], stored["missing_periods"]) == ("complete", [])
    mined = await rows("bitcoin_daily_summaries")
    assert [row["bitcoin_mined"] for row in mined] == [0, 0, 0]


async def test_known_answer_12_one_500_makes_a_day_incomplete(
    elexon: Elexon, rows: Rows, process: Process, quiet: date
) -> None:
    elexon.fault(Fault.STATUS_500, Resource.STACK, day=quiet, period=7, side="offer")
    report = await process("reingest", quiet)
    assert not report["complete"]
    [gap] = report["incomplete_days"]
    assert gap["missing_periods"] == [7]
    [stored] = await rows("settlement_days")
    assert (stored["status"], stored["missing_periods"]) == ("incomplete", [7])
    [failed] = await rows("settlement_periods", "status <> 'complete'")
    assert (failed["settlement_period"], failed["status"]) == (7, "failed")
    assert failed["error"] == "status 500"
    assert not await rows("elexon_answers", "settlement_period = 7 AND dataset LIKE 'stack/%'")


async def test_a_change_of_one_half_hour_reaches_everything(
    elexon: Elexon, rows: Rows, process: Process, quiet: date
) -> None:
    await process("reingest", quiet)
    [record, *_] = await rows("curtailment_records", "so_flag")
    period, unit = record["settlement_period"], record["farm_id"]
    before = await rows("monthly_summaries")
    mined = await rows("bitcoin_monthly_summaries")
    elexon.edit(Edit(quiet, period=period, side="bid", unit=unit, scale=2.0))
    elexon.edit(
        Edit(
            quiet,
            period=period,
            side="bid",
            add={"id": unit, "acceptanceId": 999, "volume": -3.5, "originalPrice": -10.0},
        )
    )
    await process("reingest", quiet, periods=(period, period))
    changed = await rows(
        "curtailment_records", "settlement_period = :period AND farm_id = :unit AND so_flag",
        period=period, unit=unit,
    )  # fmt: skip
    assert Decimal("-3.5") in [row["volume"] for row in changed]
    after = await rows("monthly_summaries")
    assert after[0]["total_curtailed_energy"] > before[0]["total_curtailed_energy"] + 3
    assert after[0]["records"] == before[0]["records"] + 1
    for old, new in zip(mined, await rows("bitcoin_monthly_summaries"), strict=True):
        assert new["bitcoin_mined"] > old["bitcoin_mined"]
    assert (await process("verify", quiet))["complete"]


async def test_a_later_run_revises_and_is_kept_beside_the_earlier_one(
    elexon: Elexon, rows: Rows, process: Process, day: date
) -> None:
    elexon.set_run(Run.II)
    await process("reingest", day)
    [before] = await rows("settlement_days")
    elexon.set_run(Run.SF)
    report = await process("reconcile", day)
    assert report["changed_days"] == [day.isoformat()]
    [after] = await rows("settlement_days")
    assert after["run_stamp"] > before["run_stamp"]
    assert after["revision"] == before["revision"] + 1
    stored = await rows("elexon_answers", "dataset = 'stack/bid' AND settlement_period = 5")
    assert len({row["run_stamp"] for row in stored}) == 2
    # Converging: the next look finds nothing new.
    again = await process("reconcile", day)
    assert (again["changed_days"], again["rows_changed"]) == ([], 0)
    assert again["complete"]


async def test_short_and_long_days(rows: Rows, process: Process, elexon: Elexon) -> None:
    for short_or_long, periods in ((date(2025, 3, 30), 46), (date(2024, 10, 27), 50)):
        elexon.forget_calls()
        report = await process("reingest", short_or_long)
        stored = await rows("settlement_periods", "settlement_date = :day", day=short_or_long)
        assert [row["settlement_period"] for row in stored] == list(range(1, periods + 1))
        assert elexon.calls[Resource.STACK] == 2 * periods
        if periods == 46:  # of 2024 no epoch is known here
            assert report["complete"]


async def test_every_row_left_out_is_kept_raw_with_its_reason(
    rows: Rows, process: Process, day: date
) -> None:
    await process("reingest", day)
    [stored] = await rows("settlement_days")
    reasons = set(stored["excluded"])
    assert {"no_unit", "not_wind", "no_fuel_type", "offer_side", "cadl_only"} <= reasons
    assert {"unknown_unit", "zero_volume", "turned_up", "no_price"} <= reasons
    periods = await rows("settlement_periods")
    answers = await rows("elexon_answers", "dataset LIKE 'stack/%'")
    left_out = sum(
        len(places)
        for period in periods
        for side in period["excluded"].values()
        for places in side.values()
    )
    kept = await rows("curtailment_records")
    assert left_out + len(kept) == sum(row["rows"] for row in answers)
    assert left_out == sum(stored["excluded"].values())


async def test_a_unit_that_becomes_known_later_is_found_in_what_is_kept(
    elexon: Elexon, rows: Rows, process: Process, runtime: Runtime, quiet: date
) -> None:
    stranger = {"id": "T_SMNEW-1", "acceptanceId": 4, "volume": -9.0, "originalPrice": -50.0}
    elexon.edit(Edit(quiet, period=3, side="bid", add=stranger))
    await process("reingest", quiet)
    assert not await rows("curtailment_records", "farm_id = 'T_SMNEW-1'")
    async with runtime.worker_session() as session:
        await session.execute(
            NEW_UNIT, {"farm": "Smnew", "unit": "T_SMNEW-1", "since": date(2009, 1, 1)}
        )
    elexon.forget_calls()
    await process("calculate", quiet)
    assert elexon.calls == Counter()
    [record] = await rows("curtailment_records", "farm_id = 'T_SMNEW-1'")
    assert (record["volume"], record["payment"]) == (Decimal(-9), Decimal(450))


async def test_two_at_once_do_not_double(
    runtime: Runtime, rows: Rows, process: Process, day: date
) -> None:
    first, second = await asyncio.gather(process("reingest", day), process("reingest", day))
    assert first["complete"]
    assert second["complete"]
    records = await rows("curtailment_records", "so_flag")
    [daily] = await rows("daily_summaries")
    assert daily["records"] == len(records)
    assert daily["total_curtailed_energy"] == -sum(row["volume"] for row in records)
    assert (await process("verify", day))["complete"]


async def test_days_of_one_month_at_once_leave_a_whole_month(
    runtime: Runtime, rows: Rows, process: Process
) -> None:
    days = [date(2025, 3, number) for number in range(10, 16)]
    for one in days:
        await process("reingest", one, periods=(1, 4))
    names = list(SPECS)
    miners = await miners_named(runtime, names, names)
    async with runtime.worker_session() as session:
        await session.execute(FORGET_MONTHS)
    await asyncio.gather(*(apply_day(runtime, one, miners) for one in days))
    [month] = await rows("monthly_summaries")
    daily = await rows("daily_summaries")
    assert month["days"] == len(days)
    assert month["total_curtailed_energy"] == sum(row["total_curtailed_energy"] for row in daily)


async def test_generation_outputs_and_prices_come_along(
    rows: Rows, process: Process, day: date
) -> None:
    report = await process("reingest", day, outputs=True)
    assert report["failures"] == []
    assert len(await rows("wind_generation_data")) == 48
    [daily] = await rows("daily_summaries")
    assert daily["total_wind_generation"] == (
        daily["wind_onshore_generation"] + daily["wind_offshore_generation"]
    )
    assert daily["total_wind_generation"] > daily["total_curtailed_energy"]
    assert len(await rows("system_prices")) == 48
    outputs = await rows("wind_outputs")
    assert len(outputs) == 200 * 48
    assert all(row["notified_mwh"] is not None for row in outputs)
    assert all(row["metered_mwh"] is not None for row in outputs)
    assert all(row["simulated"] for row in outputs)


async def test_every_answer_is_kept_with_its_stamp(
    elexon: Elexon, rows: Rows, process: Process, day: date
) -> None:
    for run in (Run.SF, Run.R1):
        elexon.set_run(run)
        await process("reingest", day, periods=(1, 1), outputs=True)
    kept = await rows("elexon_answers")
    assert {row["dataset"] for row in kept} == {
        "stack/bid", "stack/offer", "bm-units", "generation", "system-prices", "pn",
        "b1610/SF", "b1610/R1",
    }  # fmt: skip
    assert all(row["run_stamp"] for row in kept)
    [register] = [row for row in kept if row["dataset"] == "bm-units"]
    assert register["rows"] > 200


async def test_a_unit_changes_hands(
    elexon: Elexon, rows: Rows, process: Process, runtime: Runtime, day: date
) -> None:
    """Days before keep the lead party of their time."""
    await process("reingest", day)
    [farm, *_] = await rows("farm_daily_summaries")
    async with runtime.worker_session() as session:
        span = {"unit": farm["farm_id"], "day": day + timedelta(days=1)}
        await session.execute(CLOSE_UNIT, span)
        await session.execute(
            NEW_UNIT,
            {"farm": "X", "unit": farm["farm_id"], "since": day + timedelta(days=1)},
        )
    await process("calculate", day)
    [after] = await rows("farm_daily_summaries", "farm_id = :unit", unit=farm["farm_id"])
    assert after["lead_party_name"] == farm["lead_party_name"]


async def test_before_the_halving_a_block_paid_twice_as_much(
    deliver: Callable[..., Awaitable[Any]], rows: Rows, process: Process
) -> None:
    """Block 840,000 came at 2024-04-20T00:09:27Z: in period 3 of that day, after its start."""
    for height, start, subsidy in (
        (838_656, "2024-04-10T11:00:00Z", "6.25"),
        (840_000, "2024-04-20T00:09:27Z", "3.125"),
        (840_672, "2024-04-24T21:00:00Z", "3.125"),
    ):
        following = {838_656: 840_000, 840_000: 840_672, 840_672: 842_688}[height]
        body = {
            "height": height,
            "next_height": following,
            "started_at": start,
            "difficulty": "86388558925171",
            "subsidy_btc": subsidy,
        }
        await deliver(
            "calculator.network-epoch.changed.v1", body, organisation_id=PLATFORM_ORGANISATION
        )
    for one in (date(2024, 4, 19), date(2024, 4, 20)):
        await process("reingest", one, models=("S9",))
    rates = {
        (row["settlement_date"].day, row["settlement_period"]): row["subsidy_btc"]
        for row in await rows("bitcoin_rates")
    }
    assert {rates[19, number] for number in range(1, 49)} == {Decimal("6.25")}
    assert [rates[20, number] for number in (1, 2, 3, 4, 5)] == [
        Decimal("6.25"), Decimal("6.25"), Decimal("6.25"), Decimal("3.125"), Decimal("3.125"),
    ]  # fmt: skip
