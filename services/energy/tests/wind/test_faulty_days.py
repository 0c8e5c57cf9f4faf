"""What Elexon does wrong fails what it is about; nothing that is known is lost by it."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest

from common.runtime import Runtime
from simulation.elexon import Edit, Elexon, Fault, Resource, Run

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]
Process = Callable[..., Awaitable[dict[str, Any]]]
Everything = Callable[..., Awaitable[dict[str, list[dict[str, Any]]]]]

pytestmark = pytest.mark.usefixtures("models", "epochs")


@pytest.mark.parametrize(
    "fault",
    [
        Fault.STATUS_429, Fault.STATUS_500, Fault.STATUS_503, Fault.MISSING, Fault.SLOW,
        Fault.REFUSED, Fault.TRUNCATED, Fault.EMPTY, Fault.HTML, Fault.NULL_DATA, Fault.NO_DATA,
        Fault.WRONG_SHAPE, Fault.WRONG_TYPES, Fault.LOST_FIELDS, Fault.DUPLICATES,
        Fault.OTHER_DATE, Fault.OTHER_PERIOD, Fault.NAN, Fault.HUGE_NUMBER,
    ],
)  # fmt: skip
async def test_a_fault_never_overwrites_what_is_known(
    elexon: Elexon,
    everything: Everything,
    rows: Rows,
    process: Process,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    quiet: date,
    fault: Fault,
) -> None:
    await process("reingest", quiet, periods=(8, 10))
    before = await everything()
    if fault is Fault.SLOW:
        monkeypatch.setattr(runtime.settings, "wind_timeout_s", 0.1)
    elexon.fault(fault, Resource.STACK, period=9, retry_after_s=0)
    report = await process("reingest", quiet, periods=(9, 9))
    assert not report["complete"]
    [failed] = await rows("settlement_periods", "status = 'failed'")
    assert failed["settlement_period"] == 9
    after = await everything()
    for table in ("curtailment_records", "historical_bitcoin_calculations"):
        assert after[table] == before[table]
    assert (
        after["daily_summaries"][0]["total_curtailed_energy"]
        == (before["daily_summaries"][0]["total_curtailed_energy"])
    )
    elexon.heal()
    await process("process-missing", quiet, periods=(8, 10))
    assert await rows("settlement_periods", "status <> 'complete'") == []


@pytest.mark.parametrize(
    "poison",
    [
        {"bidOfferPairId": 40_000},
        {"createdDateTime": "0001-01-01T00:00:00+23:59"},
        {"createdDateTime": "9999-12-31T23:59:59-01:00"},
        {"finalPrice": 1e300},
        {"settlementDate": "9999-12-31"},
        {"id": "T_SM\0"},
        {"sequenceNumber": 1, "acceptanceId": None},
    ],
)
async def test_one_row_that_cannot_be_fails_its_period_and_no_other(
    elexon: Elexon, rows: Rows, process: Process, quiet: date, poison: dict[str, Any]
) -> None:
    elexon.edit(Edit(quiet, period=9, side="bid", add=poison))
    if "sequenceNumber" in poison:  # twice as it would be stored, though not as it is told
        elexon.edit(Edit(quiet, period=9, side="bid", add=poison | {"acceptanceId": 0}))
    report = await process("reingest", quiet, periods=(8, 10))
    assert [failure.split(":")[0] for failure in report["failures"]] == [f"{quiet} period 9"]
    states = {row["settlement_period"]: row["status"] for row in await rows("settlement_periods")}
    assert states == {8: "complete", 9: "failed", 10: "complete"}


BESIDE = {
    Resource.BY_TYPE: "wind_generation_data",
    Resource.PRICES: "system_prices",
    Resource.PHYSICAL: "wind_outputs",
    Resource.METERED: "wind_outputs",
}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.OTHER_DATE, Fault.DUPLICATES, Fault.NULL_DATA, Fault.NO_DATA, Fault.WRONG_TYPES,
        Fault.LOST_FIELDS, Fault.NAN, Fault.HUGE_NUMBER, Fault.HTML, Fault.STATUS_429,
    ],
)  # fmt: skip
async def test_a_fault_beside_the_stacks_never_overwrites_what_is_known(
    elexon: Elexon, rows: Rows, process: Process, quiet: date, fault: Fault
) -> None:
    elexon.set_run(Run.SF)
    await process("reingest", quiet, periods=(1, 1), outputs=True)
    before = {table: await rows(table) for table in {*BESIDE.values(), "elexon_answers"}}
    elexon.set_run(Run.R1)  # which would change them
    for resource in BESIDE:
        elexon.fault(fault, resource, retry_after_s=0)
    report = await process("reingest", quiet, periods=(1, 1), outputs=True)
    told = {failure.split(" of ")[0] for failure in report["failures"]}
    assert told == {"wind generation", "system prices", "pn", "b1610"}
    for table in BESIDE.values():
        assert await rows(table) == before[table]
    kept = await rows("elexon_answers", "dataset NOT LIKE 'stack/%'")
    assert [row["sha256"] for row in kept] == [
        row["sha256"] for row in before["elexon_answers"] if "stack" not in row["dataset"]
    ]


async def test_what_fails_beside_the_stacks_fails_nothing_else(
    elexon: Elexon, rows: Rows, process: Process, quiet: date
) -> None:
    for resource in (Resource.BY_TYPE, Resource.PRICES, Resource.PHYSICAL, Resource.METERED):
        elexon.fault(Fault.HTML, resource)
    report = await process("reingest", quiet, outputs=True)
    assert report["complete"]
    assert len(report["failures"]) == 4
    [daily] = await rows("daily_summaries")
    assert daily["total_wind_generation"] is None
