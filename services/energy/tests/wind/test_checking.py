"""Verification finds what does not agree."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from common.runtime import Runtime

Process = Callable[..., Awaitable[dict[str, Any]]]
DAY = date(2025, 3, 4)

_SWAPPED = (
    "UPDATE energy.bitcoin_farm_daily_summaries x SET bitcoin_mined = y.bitcoin_mined "
    "FROM (SELECT min(farm_id) AS a, max(farm_id) AS b "
    "FROM energy.bitcoin_farm_daily_summaries) f, energy.bitcoin_farm_daily_summaries y "
    "WHERE x.miner_model = y.miner_model AND (x.farm_id, y.farm_id) IN ((a, b), (b, a))"
)
"""Two farms change places: the sum over all of them stays what it was."""
_ANOTHER_EPOCH = (
    "UPDATE energy.bitcoin_rates r SET (epoch_height, difficulty, subsidy_btc) = "
    "(e.height, e.difficulty, e.subsidy_btc) FROM energy.network_epoch e WHERE e.height = 887040"
)
"""One that is known, but began five days later."""

pytestmark = pytest.mark.usefixtures("models", "epochs")


@pytest.mark.parametrize(
    ("damage", "defect"),
    [
        ("DELETE FROM energy.curtailment_records WHERE side = 'bid'", "periods count other rows"),
        ("UPDATE energy.curtailment_records SET payment = -payment", "wrong sign or payment"),
        ("UPDATE energy.curtailment_records SET volume = -volume", "wrong sign or payment"),
        (
            "DELETE FROM energy.historical_bitcoin_calculations WHERE settlement_period = 9",
            "S9: the calculations are not what the rows give",
        ),
        (
            "UPDATE energy.bitcoin_daily_summaries SET bitcoin_mined = 1",
            "M20S: the day's bitcoin is not the sum",
        ),
        ("UPDATE energy.daily_summaries SET total_payment = 0", "summary is not the sum"),
        ("DELETE FROM energy.daily_summaries", "no summary of the day"),
        ("UPDATE energy.daily_summaries SET complete = true", "not as complete as it says"),
        ("DELETE FROM energy.farm_daily_summaries", "farms' summaries"),
        ("UPDATE energy.farm_daily_summaries SET lead_party_name = '?'", "farms' summaries"),
        ("UPDATE energy.farm_daily_summaries SET periods = 0", "farms' summaries"),
        (
            "DELETE FROM energy.bitcoin_farm_daily_summaries WHERE miner_model = 'S9'",
            "S9: the farms' bitcoin is not the sum",
        ),
        (
            "UPDATE energy.bitcoin_farm_daily_summaries SET bitcoin_mined_any = 1",
            "M20S: the farms' bitcoin is not the sum",
        ),
        (
            _SWAPPED,
            "S9: the farms' bitcoin is not the sum",
        ),
        ("UPDATE energy.network_epoch SET difficulty = 1", "not that of its epoch"),
        (
            _ANOTHER_EPOCH,
            "not that of its epoch",
        ),
    ],
)
async def test_a_damaged_day_is_found(
    runtime: Runtime, process: Process, damage: str, defect: str
) -> None:
    await process("reingest", DAY, periods=(8, 10))
    assert (await process("verify", DAY))["defects"] == []
    async with runtime.worker_session() as session:
        if "summary of the day" in defect:
            await session.execute(text("UPDATE energy.settlement_days SET status = 'complete'"))
        await session.execute(text(damage))
    report = await process("verify", DAY)
    assert not report["complete"]
    assert any(defect in one["defect"] for one in report["defects"]), report["defects"]


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE energy.monthly_summaries SET total_curtailed_energy = 1", "2025-03"),
        ("UPDATE energy.yearly_summaries SET total_payment = 1", "2025"),
        ("UPDATE energy.bitcoin_monthly_summaries SET bitcoin_mined = 1", "2025-03 S9"),
        ("DELETE FROM energy.bitcoin_yearly_summaries", "2025 M20S"),
        ("DELETE FROM energy.monthly_summaries", "2025-03"),
        ("DELETE FROM energy.yearly_summaries", "2025"),
        ("DELETE FROM energy.bitcoin_monthly_summaries", "2025-03 M20S"),
        ("UPDATE energy.monthly_summaries SET records = 1", "2025-03"),
        ("UPDATE energy.monthly_summaries SET total_payment_any = 1", "2025-03"),
        ("UPDATE energy.monthly_summaries SET wind_onshore_generation = 1", "2025-03"),
        ("UPDATE energy.monthly_summaries SET days_complete = 1", "2025-03"),
        ("UPDATE energy.yearly_summaries SET records_any = 1", "2025"),
        ("UPDATE energy.yearly_summaries SET total_curtailed_energy_any = 1", "2025"),
        ("UPDATE energy.yearly_summaries SET total_wind_generation = 1", "2025"),
        ("UPDATE energy.bitcoin_monthly_summaries SET bitcoin_mined_any = 1", "2025-03 S9"),
        ("UPDATE energy.bitcoin_yearly_summaries SET bitcoin_mined_any = 1", "2025 S9"),
        ("UPDATE energy.bitcoin_yearly_summaries SET average_difficulty = 1", "2025 S9"),
    ],
)
async def test_a_damaged_summary_is_found_and_mended(
    runtime: Runtime, process: Process, damage: str, named: str
) -> None:
    await process("reingest", DAY, periods=(8, 10))
    async with runtime.worker_session() as session:
        await session.execute(text(damage))
    report = await process("verify", DAY)
    assert not report["complete"]
    assert f"the summary of {named} is not the sum of its parts" in report["failures"]
    await process("calculate", DAY)
    assert (await process("verify", DAY))["failures"] == []


async def test_a_summary_that_nothing_stands_behind_is_found(
    runtime: Runtime, process: Process
) -> None:
    await process("reingest", DAY, periods=(8, 10))
    async with runtime.worker_session() as session:
        await session.execute(text("DELETE FROM energy.bitcoin_daily_summaries"))
        await session.execute(text("DELETE FROM energy.daily_summaries"))
    found = (await process("verify", DAY))["failures"]
    for name in ("2025-03", "2025-03 S9"):
        assert f"the summary of {name} is not the sum of its parts" in found


async def test_an_ingest_verifies_month_and_year_too(runtime: Runtime, process: Process) -> None:
    assert (await process("reingest", DAY))["complete"]
    async with runtime.worker_session() as session:
        await session.execute(
            text("UPDATE energy.bitcoin_monthly_summaries SET miner_model = 'S1' "
                 "WHERE miner_model = 'S9'")
        )  # fmt: skip
    report = await process("reingest", DAY)
    assert not report["complete"]
    wrong = {"date": str(DAY), "defect": "the summary of 2025-03 S1 is not the sum of its parts"}
    assert report["defects"] == [wrong]  # S9 is mended on the way
