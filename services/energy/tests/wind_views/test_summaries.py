from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy.wind_views.spans import today

Ingest = Callable[..., Awaitable[None]]
DAY = date(2025, 3, 4)
pytestmark = pytest.mark.usefixtures("models", "epochs", "units")


Get = Callable[..., Awaitable[dict[str, Any]]]


async def test_a_day_is_the_sum_of_its_flagged_bids(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(
        DAY,
        {
            7: [bid("T_GORDW-2", "20", "-95.12"), bid("T_GORDW-2", "1.5", "-95.12")],
            8: [bid("T_MOWEO-1", "10", "5"), bid("E_STILL-1", "3", "-10", so_flag=False)],
        },
    )
    answer = await get("summary/daily/2025-03-04")
    assert answer["date"] == "2025-03-04"
    assert answer["total_curtailed_energy_mwh"] == "31.500000"
    assert answer["total_payment_gbp"] == "1995.080000"  # 1,902.40 + 142.68 to the farm, 50 from it
    assert (answer["lead_party"], answer["records"]) == (None, 3)
    assert (answer["is_complete"], answer["periods_complete"]) == (True, 48)
    everything = await get("summary/daily/2025-03-04?so_flag=any")
    assert everything["total_curtailed_energy_mwh"] == "34.500000"
    assert everything["total_payment_gbp"] == "2025.080000"


async def test_a_farm_whose_bid_is_positive_pays(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-2", "10", "5")]})
    assert (await get("summary/daily/2025-03-04"))["total_payment_gbp"] == "-50.000000"


async def test_a_lead_party_is_asked_for_by_name(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {7: [bid("T_GORDW-1", "20"), bid("T_GORDW-2", "5"), bid("E_STILL-1", "4")]})
    answer = await get("summary/daily/2025-03-04?lead_party=Beinn Power")
    assert answer["total_curtailed_energy_mwh"] == "25.000000"
    assert answer["total_payment_gbp"] == "2000.000000"
    assert answer["lead_party"] == "Beinn Power"
    idle = await get("summary/daily/2025-03-04?lead_party=%3DSea Wind Ltd")
    assert idle["total_curtailed_energy_mwh"] == "0.000000"
    unknown = await get("summary/daily/2025-03-04?lead_party=Nobody", 404)
    assert unknown["code"] == "unknown_lead_party"


async def test_months_and_years_add_their_days(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {7: [bid("T_GORDW-1", "20"), bid("E_STILL-1", "4")]})
    await ingest(date(2025, 3, 5), {})
    await ingest(date(2025, 3, 31), {7: [bid("T_GORDW-1", "1")]})
    await ingest(date(2025, 4, 1), {7: [bid("T_GORDW-1", "0.5")]})
    month = await get("summary/monthly/2025-03")
    assert month["total_curtailed_energy_mwh"] == "25.000000"
    assert month["total_payment_gbp"] == "2000.000000"
    assert month["daily_totals"] == [
        {"date": "2025-03-04", "curtailed_energy_mwh": "24.000000", "payment_gbp": "1920.000000"},
        {"date": "2025-03-05", "curtailed_energy_mwh": "0.000000", "payment_gbp": "0.000000"},
        {"date": "2025-03-31", "curtailed_energy_mwh": "1.000000", "payment_gbp": "80.000000"},
    ]
    assert (month["days_complete"], month["days_missing"], month["is_complete"]) == (3, 28, False)
    year = await get("summary/yearly/2025")
    assert year["total_curtailed_energy_mwh"] == "25.500000"
    assert [one["month"] for one in year["monthly_totals"]] == ["2025-03", "2025-04"]
    assert year["days_missing"] == 361
    party = await get("summary/yearly/2025?lead_party=Quiet Energy")
    assert party["total_curtailed_energy_mwh"] == "4.000000"
    assert [one["curtailed_energy_mwh"] for one in party["monthly_totals"]] == [
        "4.000000",
        "0.000000",
    ]


async def test_a_changed_half_hour_changes_day_month_and_year(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(DAY, {7: [bid("T_GORDW-1", "20")]})
    await ingest(date(2025, 3, 5), {7: [bid("T_GORDW-1", "1")]})
    await ingest(DAY, {7: [bid("T_GORDW-1", "21")]})
    assert (await get("summary/daily/2025-03-04"))["total_curtailed_energy_mwh"] == "21.000000"
    assert (await get("summary/daily/2025-03-05"))["total_curtailed_energy_mwh"] == "1.000000"
    assert (await get("summary/monthly/2025-03"))["total_curtailed_energy_mwh"] == "22.000000"
    assert (await get("summary/yearly/2025"))["total_curtailed_energy_mwh"] == "22.000000"


async def test_an_empty_day_is_a_figure_and_a_missing_period_is_none(
    get: Get, ingest: Ingest
) -> None:
    await ingest(DAY, {})
    empty = await get("summary/daily/2025-03-04")
    assert (empty["total_curtailed_energy_mwh"], empty["is_complete"]) == ("0.000000", True)
    await ingest(date(2025, 3, 5), {}, missing=[17])
    partial = await get("summary/daily/2025-03-05")
    assert (partial["is_complete"], partial["periods_complete"]) == (False, 47)


@pytest.mark.parametrize("path", ["daily/2025-03-05", "monthly/2025-04", "yearly/2024"])
async def test_what_was_never_taken_in_is_not_nothing(get: Get, ingest: Ingest, path: str) -> None:
    await ingest(DAY, {})
    assert (await get(f"summary/{path}", 404))["code"] == "no_wind_data"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("summary/daily/2025-02-30", "date"),
        ("summary/daily/20250304", "date"),
        ("summary/daily/2008-12-31", "date"),
        ("summary/daily/2199-01-01", "date"),
        ("summary/daily/%00", "date"),
        ("summary/monthly/2025-13", "month"),
        ("summary/monthly/2025-3", "month"),
        ("summary/yearly/25", "year"),
        ("summary/yearly/2008", "year"),
        ("summary/daily/2025-03-04?lead_party=", "lead_party"),
        (f"summary/daily/2025-03-04?lead_party={'x' * 129}", "lead_party"),
        ("summary/daily/2025-03-04?lead_party=a%00b", "lead_party"),
        ("summary/daily/2025-03-04?so_flag=no", "so_flag"),
        ("summary/daily/2025-03-04?format=pdf", "format"),
        ("summary/daily/2025-03-04?leadParty=x", "leadParty"),
        ("lead-parties/2025-02-30", "date"),
    ],
)
async def test_what_is_written_wrong_is_refused(get: Get, path: str, field: str) -> None:
    assert (await get(path, 422))["field"] == field


async def test_sql_in_a_name_is_a_name(get: Get, ingest: Ingest) -> None:
    await ingest(DAY, {})
    name = "x'; DROP TABLE energy.bm_units; --"
    assert (await get(f"summary/daily/2025-03-04?lead_party={name}", 404))["code"] == (
        "unknown_lead_party"
    )
    assert len((await get("lead-parties"))["items"]) == 3


async def test_lead_parties_are_listed_with_their_units(get: Get) -> None:
    items = (await get("lead-parties"))["items"]
    assert items == [
        {"lead_party": "=Sea Wind Ltd", "units": 1, "generation_capacity_mw": "882.000000"},
        {"lead_party": "Beinn Power", "units": 2, "generation_capacity_mw": "108.500000"},
        {"lead_party": "Quiet Energy", "units": 1, "generation_capacity_mw": "20.000000"},
    ]


async def test_a_days_lead_parties_come_most_energy_first(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(
        DAY,
        {
            1: [bid("E_STILL-1", "3"), bid("T_GORDW-1", "2")],
            2: [bid("T_GORDW-1", "1.5"), bid("T_MOWEO-1", "9", so_flag=False)],
        },
    )
    answer = await get("lead-parties/2025-03-04")
    assert [(one["lead_party"], one["curtailed_energy_mwh"]) for one in answer["items"]] == [
        ("Beinn Power", "3.500000"),
        ("Quiet Energy", "3.000000"),
    ]
    everyone = await get("lead-parties/2025-03-04?so_flag=any")
    assert everyone["items"][0]["lead_party"] == "=Sea Wind Ltd"
    assert (await get("lead-parties/2025-03-05", 404))["code"] == "no_wind_data"


async def test_todays_day_is_no_missing_one(get: Get, ingest: Ingest) -> None:
    day = today()
    await ingest(day, {}, missing=range(2, 47))
    answer = await get(f"summary/monthly/{day:%Y-%m}")
    assert answer["days_missing"] == (day - day.replace(day=1)).days
    assert (await get(f"summary/daily/{day}"))["is_complete"] is False
    assert (await get(f"summary/daily/{day + timedelta(days=1)}", 422))["field"] == "date"


async def test_generation_stands_beside_the_whole_only(
    get: Get, ingest: Ingest, generated: Callable[..., Awaitable[None]]
) -> None:
    await generated(DAY, onshore="1000", offshore="2000.5")
    await ingest(DAY, {})
    answer = await get("summary/daily/2025-03-04")
    assert answer["wind_generation_mwh"] == "72012.000000"  # 3,000.5 MW for 24 hours
    assert answer["wind_onshore_mwh"] == "24000.000000"
    party = await get("summary/daily/2025-03-04?lead_party=Quiet Energy")
    assert party["wind_generation_mwh"] is None


async def test_tiny_amounts_have_no_exponent(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "0.0000004", "-1")]})
    answer = await get("summary/daily/2025-03-04")
    assert answer["total_curtailed_energy_mwh"] == "0.000000"
    assert Decimal(answer["total_payment_gbp"]) == 0
