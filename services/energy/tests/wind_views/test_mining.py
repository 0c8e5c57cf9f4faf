from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update

from common.runtime import Runtime
from energy.domain.wind import WIND
from energy.facts.models import NetworkEpoch
from energy.wind.answers import Unit
from energy.wind.units import refresh
from energy.wind_views.spans import today

Get = Callable[..., Awaitable[dict[str, Any]]]
Ingest = Callable[..., Awaitable[None]]
Quote = Callable[..., Awaitable[None]]
DAY = date(2025, 3, 4)
PER_MWH = Decimal("0.00077671498787")
"""Of a S19J_PRO at difficulty 110568428300952 and a subsidy of 3.125."""
pytestmark = pytest.mark.usefixtures("models", "epochs", "units")


def near(found: str, wanted: Decimal | str) -> bool:
    return abs(Decimal(found) - Decimal(wanted)) <= Decimal("1e-8")


@pytest.mark.usefixtures("market")
async def test_a_day_is_mined_by_each_model(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "700")], 40: [bid("E_STILL-1", "300")]})
    figures = {
        "S19J_PRO": "0.77671498787",
        "M20S": "0.47943657287",
        "S9": "0.24173272582",
    }
    for model, bitcoin in figures.items():
        path = f"mining-potential/daily?date=2025-03-04&miner_model={model}"
        answer = await get(path)
        assert near(answer["bitcoin_mined"], bitcoin)
        assert answer["miner_model"] == model
        assert answer["curtailed_energy_mwh"] == "1000.000000"
        assert answer["difficulty"] == "110568428300952.000000"
        assert (answer["current_price"], answer["currency"]) == ("100000.000000", "USD")
        value = Decimal(answer["value_at_current_price"])
        assert abs(value - Decimal(bitcoin) * 100_000) < Decimal("0.001")
    assert (await get("mining-potential/daily?date=2025-03-04"))["miner_model"] == "S19J_PRO"


@pytest.mark.usefixtures("market")
async def test_a_value_is_told_in_pounds_with_the_rate_behind_it(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1000")]})
    answer = await get("mining-potential/daily?date=2025-03-04&currency=GBP")
    assert (answer["current_price"], answer["currency"]) == ("80000.000000", "GBP")
    assert abs(Decimal(answer["value_at_current_price"]) - PER_MWH * 80_000_000) < Decimal("0.001")
    market = answer["market"]
    assert (market["btc_price_usd"], market["usd_per_gbp"]) == ("100000.000000", "1.250000")
    assert (market["source"], market["rate_source"], market["reason"]) == ("kraken", "ECB", None)
    assert (market["stale"], market["simulated"]) == (False, False)
    assert 30 <= market["age_s"] < 60
    assert (await get("mining-potential/daily?date=2025-03-04&currency=EUR", 422))["field"] == (
        "currency"
    )


async def test_without_a_price_the_value_is_null_and_says_why(
    get: Get, ingest: Ingest, bid: Any, tell_quote: Quote
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1000")]})
    path = "mining-potential/daily?date=2025-03-04"
    answer = await get(path)
    assert (answer["value_at_current_price"], answer["current_price"]) == (None, None)
    assert answer["market"]["reason"] == "no_quote"
    assert near(answer["bitcoin_mined"], PER_MWH * 1000)
    await tell_quote("50000", age_s=1200)
    dollars = await get(path)
    assert dollars["current_price"] == "50000.000000"
    assert dollars["market"]["stale"] is True
    pounds = await get(f"{path}&currency=GBP")
    assert (pounds["current_price"], pounds["market"]["reason"]) == (None, "no_exchange_rate")
    await tell_quote("60000", age_s=5, stale=True, version=2)
    assert (await get(path))["market"]["stale"] is True
    await tell_quote("70000", age_s=1, version=3)
    fresh = await get(path)
    assert (fresh["market"]["stale"], fresh["current_price"]) == (False, "70000.000000")


async def test_month_and_year_add_their_days(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "100")]})
    await ingest(date(2025, 3, 5), {1: [bid("E_STILL-1", "50")]})
    await ingest(date(2025, 4, 1), {1: [bid("T_GORDW-1", "10")]})
    month = await get("mining-potential/monthly/2025-03")
    assert near(month["bitcoin_mined"], PER_MWH * 150)
    assert [one["date"] for one in month["days"]] == ["2025-03-04", "2025-03-05"]
    assert near(month["days"][1]["bitcoin_mined"], PER_MWH * 50)
    year = await get("mining-potential/yearly/2025")
    assert near(year["bitcoin_mined"], PER_MWH * 160)
    assert [one["month"] for one in year["months"]] == ["2025-03", "2025-04"]
    farm = await get("mining-potential/yearly/2025?farm_id=T_GORDW-1")
    assert near(farm["bitcoin_mined"], PER_MWH * 110)
    party = await get("mining-potential/monthly/2025-03?lead_party=Quiet Energy")
    assert near(party["bitcoin_mined"], PER_MWH * 50)
    assert party["days"][0]["bitcoin_mined"] == "0.00000000"


@pytest.mark.parametrize(
    ("day", "mwh", "bitcoin"),
    [
        (date(2025, 3, 30), 46, "0.357288894418"),
        (date(2025, 10, 26), 50, "0.388357493933"),
        (date(2025, 4, 3), 48, "0.372823194176"),
    ],
)
async def test_a_day_has_as_many_periods_as_the_clocks_give_it(
    get: Get, ingest: Ingest, bid: Any, day: date, mwh: int, bitcoin: str
) -> None:
    await ingest(day, {period: [bid("T_GORDW-1", "10")] for period in range(1, mwh + 1)})
    answer = await get(f"mining-potential/daily?date={day}")
    assert answer["curtailed_energy_mwh"] == f"{mwh * 10}.000000"
    assert near(answer["bitcoin_mined"], bitcoin)


async def test_the_documents_month_comes_out(
    get: Get, ingest: Ingest, bid: Any, tell_epochs: Callable[..., Awaitable[None]]
) -> None:
    """326,031.768 MWh at the document's difficulty: its M20S and S9 to seven digits."""
    month = [(d * 14, datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=d)) for d in (0, 1)]
    difficulty = "108105433845147"
    epochs = [(2016 * number, start, difficulty) for number, start in month]
    epochs += [(2016 * 99, datetime(2025, 2, 2, tzinfo=UTC), difficulty)]
    await tell_epochs(epochs)
    for day in (1, 9, 17, 25):
        amounts = {5: [bid("T_GORDW-1", "40000.5"), bid("E_STILL-1", "507.442")]}
        amounts[33] = [bid("T_MOWEO-1", "41000")]
        await ingest(date(2025, 1, day), amounts)
    m20s = await get("mining-potential/monthly/2025-01?miner_model=M20S")
    assert m20s["curtailed_energy_mwh"] == "326031.768000"
    assert round(Decimal(m20s["bitcoin_mined"]), 5) == Decimal("159.87284")
    s9 = await get("mining-potential/monthly/2025-01?miner_model=S9")
    assert round(Decimal(s9["bitcoin_mined"]), 5) == Decimal("80.60815")


async def test_a_model_may_be_asked_for_by_any_of_its_names(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1000")]}, names=["S19J_PRO"])
    for name in ("s19j_pro", "Antminer S19j Pro 100T", "antminer  s19j pro 100t"):
        answer = await get(f"mining-potential/daily?date=2025-03-04&miner_model={name}")
        assert near(answer["bitcoin_mined"], PER_MWH * 1000)
        assert answer["miner_model"] == "S19J_PRO"
    unknown = await get("mining-potential/daily?date=2025-03-04&miner_model=S99", 422)
    assert (unknown["code"], unknown["field"]) == ("miner_model_unknown", "miner_model")
    idle = await get("mining-potential/daily?date=2025-03-04&miner_model=S9")
    assert (idle["bitcoin_mined"], idle["bitcoin_reason"]) == (None, "not_calculated")
    assert idle["curtailed_energy_mwh"] == "1000.000000"


async def test_an_unknown_difficulty_is_told_and_never_guessed(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1000")]})
    await ingest(date(2024, 6, 5), {1: [bid("T_GORDW-1", "1000")]})
    answer = await get("mining-potential/daily?date=2024-06-05")
    assert (answer["bitcoin_mined"], answer["difficulty"]) == (None, None)
    assert answer["bitcoin_reason"] == "difficulty_unavailable"
    month = await get("mining-potential/monthly/2024-06")
    assert (month["bitcoin_mined"], month["bitcoin_reason"]) == (None, "difficulty_unavailable")


async def test_a_sum_of_some_days_says_so(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "1000")]}, names=["S9"])
    await ingest(date(2025, 3, 5), {1: [bid("T_GORDW-1", "1000")]}, names=["S19J_PRO"])
    month = await get("mining-potential/monthly/2025-03")
    assert near(month["bitcoin_mined"], PER_MWH * 1000)
    assert month["bitcoin_reason"] == "partly_calculated"


async def test_a_day_of_which_some_periods_are_calculated_makes_its_month_and_year_partly(
    get: Get, ingest: Ingest, bid: Any, tell_epochs: Callable[..., Awaitable[None]]
) -> None:
    """From 2024-06-15 12:00 UTC on a gap is known: 26 of that day's 48 periods count."""
    known = [(840672, datetime(2024, 6, 1, tzinfo=UTC), "83675262295059")]
    known += [(842688, datetime(2024, 6, 15, 12, tzinfo=UTC), "83675262295059")]
    await tell_epochs(known)
    later = [(number, datetime(2024, 6, 29, tzinfo=UTC), "1") for number in (846720, 848736)]
    await tell_epochs(later)
    bids = {1: [bid("T_GORDW-1", "100")], 40: [bid("T_GORDW-1", "100")]}
    await ingest(date(2024, 6, 14), bids)
    for path in ("monthly/2024-06", "yearly/2024"):
        assert (await get(f"mining-potential/{path}"))["bitcoin_reason"] is None
    await ingest(date(2024, 6, 15), bids)
    paths = ("daily?date=2024-06-15", "monthly/2024-06", "yearly/2024", "farms?value=2024-06")
    for path in paths:
        assert (await get(f"mining-potential/{path}"))["bitcoin_reason"] == "partly_calculated"


async def test_the_top_farm_is_who_would_have_mined_most_not_who_was_curtailed_most(
    get: Get, ingest: Ingest, bid: Any, tell_epochs: Callable[..., Awaitable[None]]
) -> None:
    """Before a halving a MWh mined more: energy.md's energy at two difficulties and subsidies."""
    january = [(824544, datetime(2024, 1, 5, tzinfo=UTC), "72006146478567")]
    january += [(826560, datetime(2024, 1, 20, tzinfo=UTC), "70343519904866")]
    await tell_epochs(january, "6.25")
    december = [(872928, datetime(2024, 12, 1, tzinfo=UTC), "110568428300952")]
    december += [(874944, datetime(2024, 12, 15, tzinfo=UTC), "110568428300952")]
    await tell_epochs(december)
    await ingest(date(2024, 1, 10), {1: [bid("T_GORDW-1", "1000")]})
    await ingest(date(2024, 12, 5), {1: [bid("E_STILL-1", "1100")]})
    [top] = (await get("mining-potential/top-farms?value=2024&limit=1"))["items"]
    assert (top["farm_id"], top["bitcoin_mined"]) == ("T_GORDW-1", "2.38535624")
    for path in ("mining-potential/farms", "mining-potential/lead-parties"):
        items = (await get(f"{path}?value=2024"))["items"]
        assert [one["lead_party"] for one in items] == ["Beinn Power", "Quiet Energy"]
        assert near(items[1]["bitcoin_mined"], PER_MWH * 1100)
    groups = (await get("farm-tables/grouped-data?value=2024"))["items"]
    assert [one["lead_party"] for one in groups] == ["Beinn Power", "Quiet Energy"]


async def test_farms_whose_bitcoin_is_not_calculated_come_last_most_energy_first(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    bids = [bid("T_GORDW-1", "10"), bid("T_MOWEO-1", "20")]
    await ingest(DAY, {1: bids}, names=["S9"])
    await ingest(date(2025, 3, 5), {1: [bid("E_STILL-1", "1")]})
    items = (await get("mining-potential/farms?value=2025-03&miner_model=S19J_PRO"))["items"]
    assert [one["farm_id"] for one in items] == ["E_STILL-1", "T_MOWEO-1", "T_GORDW-1"]
    assert [one["bitcoin_mined"] is None for one in items] == [False, True, True]


async def test_lists_of_farms_tell_the_difficulty_as_their_month_does(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    """Two days of two difficulties: the mean over the days, wherever the month is shown."""
    await ingest(DAY, {1: [bid("T_GORDW-1", "10")]})
    await ingest(date(2025, 3, 12), {1: [bid("T_GORDW-1", "30")]})
    month = (await get("mining-potential/monthly/2025-03"))["difficulty"]
    assert month == "111358966245650.500000"
    for path in ("farms", "top-farms", "lead-parties", "farm/T_GORDW-1"):
        shown = await get(f"mining-potential/{path}?value=2025-03")
        assert shown["difficulty"] == month
    assert (await get("farm-tables/grouped-data?value=2025-03"))["difficulty"] == month
    idle = await get("mining-potential/farms?value=2025-03&miner_model=Antminer S9 13.5T")
    assert idle["difficulty"] == month


@pytest.mark.usefixtures("market")
async def test_farms_come_most_bitcoin_first_with_their_shares(
    get: Get, ingest: Ingest, bid: Any
) -> None:
    await ingest(
        DAY,
        {
            1: [bid("T_GORDW-1", "10"), bid("T_GORDW-1", "5"), bid("T_MOWEO-1", "60", "-70.5")],
            2: [
                bid("T_GORDW-1", "5"),
                bid("T_GORDW-2", "20"),
                bid("E_STILL-1", "9", so_flag=False),
            ],
        },
    )
    answer = await get("mining-potential/farms?period=day&value=2025-03-04")
    rows = answer["items"]
    assert [one["farm_id"] for one in rows] == ["T_MOWEO-1", "T_GORDW-1", "T_GORDW-2"]
    assert [one["share_percent"] for one in rows] == ["60.0000", "20.0000", "20.0000"]
    assert [one["periods"] for one in rows] == [1, 2, 1]
    assert rows[1]["farm_name"] == "Gordonbush"
    assert rows[0]["total_payment_gbp"] == "4230.000000"
    assert near(rows[0]["bitcoin_mined"], PER_MWH * 60)
    assert (answer["timeframe"], answer["value"]) == ("day", "2025-03-04")
    own = await get("mining-potential/farms?value=2025-03&lead_party=Beinn Power")
    assert [one["farm_id"] for one in own["items"]] == ["T_GORDW-1", "T_GORDW-2"]
    every = await get("mining-potential/farms?value=2025&so_flag=any")
    assert len(every["items"]) == 4


async def test_top_farms_are_limited(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid(name, mwh) for name, mwh in zip(
        ("T_GORDW-1", "T_GORDW-2", "E_STILL-1"), ("3", "1", "2"), strict=True
    )]})  # fmt: skip
    path = "mining-potential/top-farms?period=month&value=2025-03"
    assert len((await get(path))["items"]) == 3
    top = await get(f"{path}&limit=2")
    assert [one["farm_id"] for one in top["items"]] == ["T_GORDW-1", "E_STILL-1"]
    for limit in ("0", "-1", "101", "1000000000", "x"):
        assert (await get(f"{path}&limit={limit}", 422))["field"] == "limit"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("period=month&value=2025-03-04", "value"),
        ("period=day&value=2025", "value"),
        ("period=week&value=2025-03", "period"),
        ("period=month&timeframe=year&value=2025", "timeframe"),
        ("value=3025", "value"),
        ("value=x", "value"),
    ],
)
async def test_a_span_that_fits_no_timeframe_is_refused(get: Get, query: str, field: str) -> None:
    assert (await get(f"mining-potential/farms?{query}", 422))["field"] == field


async def test_a_farm_shows_its_days_and_months(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "100"), bid("E_STILL-1", "7")]})
    await ingest(date(2025, 3, 5), {1: [bid("E_STILL-1", "7")]})
    farm = await get("mining-potential/farm/T_GORDW-1?timeframe=month&value=2025-03")
    assert (farm["farm_id"], farm["farm_name"]) == ("T_GORDW-1", "Gordonbush")
    assert (farm["lead_party"], farm["generation_capacity_mw"]) == ("Beinn Power", "70.500000")
    assert near(farm["bitcoin_mined"], PER_MWH * 100)
    assert [(one["value"], one["curtailed_energy_mwh"]) for one in farm["items"]] == [
        ("2025-03-04", "100.000000"),
        ("2025-03-05", "0.000000"),
    ]
    idle = await get("mining-potential/farm/T_MOWEO-1?value=2025")
    assert (idle["curtailed_energy_mwh"], idle["bitcoin_mined"]) == ("0.000000", "0.00000000")
    unknown = await get("mining-potential/farm/T_NONE-1?value=2025", 404)
    assert unknown["code"] == "unknown_farm"


async def test_lead_parties_add_their_farms(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30"), bid("T_GORDW-2", "30"), bid("E_STILL-1", "40")]})
    answer = await get("mining-potential/lead-parties?period=year&value=2025")
    assert [(one["lead_party"], one["farms"]) for one in answer["items"]] == [
        ("Beinn Power", 2),
        ("Quiet Energy", 1),
    ]
    assert near(answer["items"][0]["bitcoin_mined"], PER_MWH * 60)
    assert answer["items"][0]["share_percent"] == "60.0000"


async def test_farm_tables_group_farms_by_lead_party(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30"), bid("T_GORDW-2", "31"), bid("E_STILL-1", "39")]})
    path = "farm-tables/grouped-data?timeframe=day&value=2025-03-04&miner_model=S9"
    answer = await get(path)
    assert answer["curtailed_energy_mwh"] == "100.000000"
    groups = {one["lead_party"]: one for one in answer["items"]}
    assert [one["farm_id"] for one in groups["Beinn Power"]["farms"]] == ["T_GORDW-2", "T_GORDW-1"]
    assert groups["Beinn Power"]["curtailed_energy_mwh"] == "61.000000"
    parts = [Decimal(farm["bitcoin_mined"]) for one in groups.values() for farm in one["farms"]]
    assert abs(sum(parts) - Decimal(answer["bitcoin_mined"])) <= Decimal("2e-8")


async def test_both_names_of_a_read_answer_the_same(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30")]})
    for one, other in (
        ("mining-potential/daily?date=2025-03-04", "curtailment/mining-potential?date=2025-03-04"),
        ("mining-potential/monthly/2025-03", "curtailment/monthly-mining-potential/2025-03"),
    ):
        assert (await get(one)) == (await get(other))


async def test_a_simulated_party_is_said_to_be_one(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "30")]}, simulated=True)
    assert (await get("mining-potential/monthly/2025-03"))["simulated"] is True
    assert (await get("summary/daily/2025-03-04"))["simulated"] is True


async def test_a_farm_that_changes_hands_counts_for_each_owner(
    get: Get, ingest: Ingest, bid: Any, runtime: Runtime
) -> None:
    async with runtime.worker_session() as session:
        sold = Unit("T_GORDW-1", None, "Gordonbush", "New Owner", None, WIND, "T", Decimal("70.5"))
        await refresh(session, [sold], date(2025, 3, 5), simulated=True)
    await ingest(DAY, {1: [bid("T_GORDW-1", "3")]})
    await ingest(date(2025, 3, 5), {1: [bid("T_GORDW-1", "2")]})
    rows = (await get("mining-potential/farms?value=2025-03"))["items"]
    assert [(one["lead_party"], one["curtailed_energy_mwh"]) for one in rows] == [
        ("Beinn Power", "3.000000"),
        ("New Owner", "2.000000"),
    ]
    parties = (await get("mining-potential/lead-parties?value=2025-03"))["items"]
    assert [(one["lead_party"], one["farms"]) for one in parties] == [
        ("Beinn Power", 1),
        ("New Owner", 1),
    ]
    old = await get("summary/monthly/2025-03?lead_party=Beinn Power")
    assert [one["curtailed_energy_mwh"] for one in old["daily_totals"]] == ["3.000000", "0.000000"]
    path = "production/curtailment-percentage"
    assert (await get(f"{path}/farm/T_GORDW-1/{DAY}"))["lead_party"] == "Beinn Power"
    assert (await get(f"{path}/farm/T_GORDW-1/2025-03-05"))["lead_party"] == "New Owner"
    assert (await get(f"{path}/lead-party/New Owner/{DAY}", 404))["code"] == "unknown_lead_party"


async def test_bitcoin_of_a_simulated_chain_is_said_to_be_simulated(
    get: Get, ingest: Ingest, bid: Any, runtime: Runtime
) -> None:
    async with runtime.worker_session() as session:
        await session.execute(update(NetworkEpoch).values(simulated=True))
    await ingest(DAY, {1: [bid("T_GORDW-1", "3")]})
    assert (await get("mining-potential/monthly/2025-03"))["simulated"] is True
    assert (await get("summary/monthly/2025-03"))["simulated"] is False


async def test_without_a_value_the_present_is_meant(get: Get, ingest: Ingest, bid: Any) -> None:
    day = today()
    yesterday = day - timedelta(days=1)
    await ingest(yesterday, {1: [bid("T_GORDW-1", "3")]})
    await ingest(day, {1: [bid("T_GORDW-1", "4")]}, missing=range(2, 40))
    for query, value in (
        ("", f"{day:%Y}"),
        ("?period=year", f"{day:%Y}"),
        ("?period=month", f"{day:%Y-%m}"),
        ("?period=day", f"{yesterday}"),
    ):
        assert (await get(f"mining-potential/farms{query}"))["value"] == value
    daily = await get("mining-potential/daily")
    assert (daily["date"], daily["curtailed_energy_mwh"]) == (f"{yesterday}", "3.000000")


async def test_nobodys_farms_are_not_an_empty_list(get: Get, ingest: Ingest, bid: Any) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "3")]})
    path = "mining-potential/farms?value=2025-03&lead_party="
    assert (await get(f"{path}Nobody", 404))["code"] == "unknown_lead_party"
    assert (await get(f"{path}Quiet Energy"))["items"] == []
