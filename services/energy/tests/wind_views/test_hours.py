from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.runtime import Runtime
from energy.wind.models import SystemPrice

Get = Callable[..., Awaitable[dict[str, Any]]]
Ingest = Callable[..., Awaitable[None]]
DAY = date(2025, 3, 4)
PER_MWH = Decimal("0.00077671498787")
pytestmark = pytest.mark.usefixtures("models", "epochs", "units")


async def test_periods_are_those_of_the_day(get: Get) -> None:
    for day, count, first, last in (
        ("2025-03-30", 46, "2025-03-30T00:00:00Z", "2025-03-30T22:30:00Z"),
        ("2025-10-26", 50, "2025-10-25T23:00:00Z", "2025-10-26T23:30:00Z"),
        ("2025-03-04", 48, "2025-03-04T00:00:00Z", "2025-03-04T23:30:00Z"),
        ("2027-10-31", 50, "2027-10-30T23:00:00Z", "2027-10-31T23:30:00Z"),
        ("2026-03-29", 46, "2026-03-29T00:00:00Z", "2026-03-29T22:30:00Z"),
    ):
        answer = await get(f"periods/{day}")
        items = answer["items"]
        assert (answer["date"], len(items)) == (day, count)
        assert [one["settlement_period"] for one in items] == list(range(1, count + 1))
        assert (items[0]["start_time"], items[-1]["start_time"]) == (first, last)
    for wrong in ("2025-02-30", "20250304", "2008-01-01", "9999-12-31", "today"):
        assert (await get(f"periods/{wrong}", 422))["field"] == "date"


async def test_an_hour_is_two_periods(get: Get, ingest: Ingest, bid: Any) -> None:
    bids = {1: [bid("T_GORDW-1", "1")], 2: [bid("E_STILL-1", "2")], 48: [bid("T_GORDW-1", "4")]}
    await ingest(DAY, bids)
    answer = await get("curtailment/hourly/2025-03-04")
    items = answer["items"]
    assert [one["hour"] for one in items] == [f"{hour:02}:00" for hour in range(24)]
    assert items[0]["settlement_periods"] == [1, 2]
    assert items[0]["curtailed_energy_mwh"] == "3.000000"
    assert (items[1]["curtailed_energy_mwh"], items[1]["is_complete"]) == ("0.000000", True)
    assert items[23]["payment_gbp"] == "320.000000"
    assert answer["total_curtailed_energy_mwh"] == "7.000000"
    party = await get("curtailment/hourly/2025-03-04?lead_party=Quiet Energy")
    assert party["items"][0]["curtailed_energy_mwh"] == "2.000000"
    farm = await get("curtailment/hourly/2025-03-04?farm_id=T_GORDW-1")
    assert farm["total_curtailed_energy_mwh"] == "5.000000"
    assert (await get("curtailment/hourly/2025-03-04?farm_id=X", 404))["code"] == "unknown_farm"
    assert (await get("curtailment/hourly/2025-03-05", 404))["code"] == "no_wind_data"


@pytest.mark.parametrize(
    ("day", "hours", "clocks"),
    [
        (date(2025, 3, 30), 23, ["00:00", "02:00", "03:00"]),
        (date(2025, 10, 26), 25, ["00:00", "01:00", "01:00"]),
    ],
)
async def test_a_clock_change_loses_or_doubles_an_hour(
    get: Get, ingest: Ingest, bid: Any, day: date, hours: int, clocks: list[str]
) -> None:
    await ingest(day, {3: [bid("T_GORDW-1", "1")], 5: [bid("T_GORDW-1", "2")]})
    items = (await get(f"curtailment/hourly/{day}"))["items"]
    assert (len(items), [one["hour"] for one in items[:3]]) == (hours, clocks)
    assert len({one["starts_at"] for one in items}) == hours
    assert [one["curtailed_energy_mwh"] for one in items[1:3]] == ["1.000000", "2.000000"]


async def test_a_period_that_was_not_taken_in_is_not_nothing(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1")]}, missing=[2, 5, 6])
    items = (await get("curtailment/hourly/2025-03-04"))["items"]
    shown = [(one["curtailed_energy_mwh"], one["is_complete"]) for one in items[:4]]
    assert shown == [("1.000000", False), ("0.000000", True), (None, False), ("0.000000", True)]
    values = (await get("curtailment/value/2025-03-04"))["items"]
    assert (values[1]["curtailed_energy_mwh"], values[1]["better"]) == (None, None)


async def test_hours_are_compared_with_everybodys(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30"), bid("E_STILL-1", "10")]})
    path = "curtailment/hourly-comparison/2025-03-04?lead_party=Quiet Energy&miner_model=S19J_PRO"
    answer = await get(path)
    first, second, *_ = answer["items"]
    assert (first["curtailed_energy_mwh"], first["all_curtailed_energy_mwh"]) == (
        "10.000000",
        "40.000000",
    )
    assert first["share_percent"] == "25.0000"
    assert abs(Decimal(first["bitcoin_mined"]) - PER_MWH * 10) <= Decimal("1e-8")
    assert (second["share_percent"], second["bitcoin_mined"]) == (None, "0.00000000")
    everyone = await get("curtailment/hourly-comparison/2025-03-04")
    assert everyone["items"][0]["share_percent"] == "100.0000"


async def test_days_are_compared_with_everybodys(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30"), bid("E_STILL-1", "10")]})
    await ingest(date(2025, 3, 5), {1: [bid("T_GORDW-1", "30")]})
    answer = await get("curtailment/monthly-comparison/2025-03?lead_party=Quiet Energy")
    assert [(one["date"], one["share_percent"]) for one in answer["items"]] == [
        ("2025-03-04", "25.0000"),
        ("2025-03-05", "0.0000"),
    ]
    assert answer["items"][1]["all_curtailed_energy_mwh"] == "30.000000"
    unknown = await get("curtailment/monthly-comparison/2025-03?miner_model=S99", 422)
    assert unknown["code"] == "miner_model_unknown"


@pytest.mark.usefixtures("market")
async def test_a_half_hour_is_worth_what_is_paid_or_mined(
    get: Get, ingest: Ingest, bid: Any, runtime: Runtime
) -> None:
    """At 80,000 GBP a MWh mines 62.137199 GBP with a S19J_PRO."""
    async with runtime.worker_session() as session:
        session.add(
            SystemPrice(
                settlement_date=DAY,
                settlement_period=1,
                system_price=Decimal("71.5"),
                net_imbalance_volume=None,
                run_stamp=None,
                simulated=True,
            )
        )
    await ingest(
        DAY,
        {
            1: [bid("T_GORDW-1", "30", "-80"), bid("E_STILL-1", "10", "-40")],
            2: [bid("T_GORDW-1", "10", "-62")],
            3: [bid("T_GORDW-1", "10", "5")],
        },
    )
    answer = await get("curtailment/value/2025-03-04")
    first, second, third, fourth, *_ = answer["items"]
    assert first["curtail_gbp_per_mwh"] == "70.000000"
    assert first["mine_gbp_per_mwh"] == "62.137199"
    assert first["difference_gbp_per_mwh"] == "-7.862801"
    assert (first["better"], first["system_price_gbp_per_mwh"]) == ("curtail", "71.500000")
    assert first["btc_per_mwh"] == "0.00077671498787"
    assert (second["better"], third["better"]) == ("mine", "mine")
    assert third["curtail_gbp_per_mwh"] == "-5.000000"
    assert (fourth["curtail_gbp_per_mwh"], fourth["better"]) == (None, None)
    assert fourth["mine_gbp_per_mwh"] == "62.137199"
    assert answer["market"]["usd_per_gbp"] == "1.250000"
    assert answer["curtail_gbp_per_mwh"] == "56.166667"  # 3,370 GBP for 60 MWh
    assert answer["mine_gbp_per_mwh"] == "62.137199"
    assert answer["mine_value_gbp"] == "3728.231942"
    farm = await get("curtailment/value/2025-03-04?farm_id=E_STILL-1")
    assert farm["curtail_gbp_per_mwh"] == "40.000000"


async def test_without_a_rate_of_the_pound_neither_side_wins(
    get: Get, ingest: Ingest, bid: Any, tell_quote: Callable[..., Awaitable[None]]
) -> None:
    await tell_quote()
    await ingest(DAY, {1: [bid("T_GORDW-1", "30", "-80")]})
    answer = await get("curtailment/value/2025-03-04")
    assert answer["market"]["reason"] == "no_exchange_rate"
    first = answer["items"][0]
    assert (first["mine_gbp_per_mwh"], first["better"]) == (None, None)
    assert first["curtail_gbp_per_mwh"] == "80.000000"
