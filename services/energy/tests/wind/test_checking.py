"""Verification finds what does not agree."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from common.runtime import Runtime

Process = Callable[..., Awaitable[dict[str, Any]]]
DAY = date(2025, 3, 4)

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
        ("UPDATE energy.network_epoch SET difficulty = 1", "not that of its epoch"),
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
    ],
)
async def test_a_damaged_summary_is_found_and_mended(
    runtime: Runtime, process: Process, damage: str, named: str
) -> None:
    await process("reingest", DAY, periods=(8, 10))
    async with runtime.worker_session() as session:
        await session.execute(text(damage))
    report = await process("verify", DAY)
    assert any(f"the summary of {named} is not the sum" in one for one in report["failures"])
    await process("calculate", DAY)
    assert (await process("verify", DAY))["failures"] == []
