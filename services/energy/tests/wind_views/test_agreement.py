"""On a day of a simulated country, whatever is asked for, the parts agree with the whole."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.runtime import Runtime
from energy.domain.settlement import periods_in
from energy.wind.days import apply_day
from energy.wind.elexon import Elexon as Client
from energy.wind.elexon import open_elexon
from energy.wind.fetching import take
from energy.wind.miners import miners_named
from energy.wind.pace import Gate
from energy.wind.surroundings import take_context, take_outputs
from energy.wind.units import refresh
from simulation.elexon import Edit, Elexon, Fault, Resource, serve

Get = Callable[..., Awaitable[dict[str, Any]]]
DAY = date(2025, 3, 30)
MODELS = ("S19J_PRO", "S9")


@pytest.fixture(scope="module")
async def elexon() -> AsyncGenerator[Elexon]:
    async with serve(seed=7) as served:
        yield served


@pytest.fixture
async def asking(elexon: Elexon) -> AsyncGenerator[Client]:
    elexon.reset()
    async with open_elexon(elexon.url, Gate(8, 500.0), timeout_s=5.0, tries=1) as client:
        yield client


@pytest.fixture
async def taken(
    models: None, epochs: None, market: None, runtime: Runtime, asking: Client
) -> Callable[[], Awaitable[None]]:
    """Take the day in from Elexon as it is now."""

    async def take_in() -> None:
        told = await asking.bm_units()
        async with runtime.worker_session() as session:
            await refresh(session, told.rows, date(2026, 1, 1), simulated=told.simulated)
        await take(runtime, asking, DAY, range(1, periods_in(DAY) + 1))
        await take_context(runtime, asking, DAY)
        await take_outputs(runtime, asking, DAY)
        await apply_day(runtime, DAY, await miners_named(runtime, MODELS, MODELS))

    return take_in


def sum_of(rows: Iterable[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(row[name] or 0) for row in rows), Decimal(0))


def near(one: Decimal | str, other: Decimal | str, tolerance: str) -> bool:
    return abs(Decimal(one) - Decimal(other)) <= Decimal(tolerance)


@pytest.mark.parametrize("flag", ["", "so_flag=any"])
async def test_all_views_of_a_day_agree(
    get: Get, taken: Callable[[], Awaitable[None]], flag: str
) -> None:
    await taken()
    whole = await get(f"summary/daily/{DAY}?{flag}")
    energy, paid = whole["total_curtailed_energy_mwh"], whole["total_payment_gbp"]
    assert Decimal(energy) > 1000
    assert (whole["simulated"], whole["is_complete"]) == (True, True)
    mined = await get(f"mining-potential/daily?date={DAY}&{flag}")
    assert (mined["curtailed_energy_mwh"], mined["total_payment_gbp"]) == (energy, paid)
    month = await get(f"mining-potential/monthly/{DAY:%Y-%m}?{flag}")
    assert month["bitcoin_mined"] == mined["bitcoin_mined"]
    hours = (await get(f"curtailment/hourly/{DAY}?{flag}"))["items"]
    assert len(hours) == 23
    assert near(sum_of(hours, "curtailed_energy_mwh"), energy, "0.0001")
    assert near(sum_of(hours, "payment_gbp"), paid, "0.0001")
    compared = (await get(f"curtailment/hourly-comparison/{DAY}?{flag}"))["items"]
    assert near(sum_of(compared, "bitcoin_mined"), mined["bitcoin_mined"], "0.000001")
    values = await get(f"curtailment/value/{DAY}?{flag}")
    assert near(sum_of(values["items"], "bitcoin_mined"), mined["bitcoin_mined"], "0.000001")
    assert near(values["total_bitcoin_mined"], mined["bitcoin_mined"], "0.00000001")
    parties = (await get(f"lead-parties/{DAY}?{flag}"))["items"]
    assert near(sum_of(parties, "curtailed_energy_mwh"), energy, "0.0001")
    for path in ("farms", "lead-parties"):
        rows = (await get(f"mining-potential/{path}?value={DAY}&{flag}"))["items"]
        assert near(sum_of(rows, "curtailed_energy_mwh"), energy, "0.001")
        assert near(sum_of(rows, "bitcoin_mined"), mined["bitcoin_mined"], "0.00001")
        assert near(sum_of(rows, "share_percent"), "100", "0.1")
    tables = await get(f"farm-tables/grouped-data?value={DAY}&{flag}")
    assert tables["curtailed_energy_mwh"] == energy
    assert tables["bitcoin_mined"] == mined["bitcoin_mined"]
    assert [one["lead_party"] for one in tables["items"]] == [one["lead_party"] for one in parties]
    some = parties[0]["lead_party"]
    party = await get(f"mining-potential/daily?date={DAY}&lead_party={some}&{flag}")
    assert party["curtailed_energy_mwh"] == parties[0]["curtailed_energy_mwh"]


async def test_shares_and_generation_come_with_the_day(
    get: Get, taken: Callable[[], Awaitable[None]]
) -> None:
    await taken()
    generation = await get(f"wind-generation/{DAY}")
    assert (len(generation["items"]), generation["is_complete"]) == (46, True)
    assert (await get(f"summary/daily/{DAY}"))["wind_generation_mwh"] == generation["total_mwh"]
    [top] = (await get(f"mining-potential/top-farms?value={DAY}&limit=1"))["items"]
    path = "production/curtailment-percentage"
    share = await get(f"{path}/farm/{top['farm_id']}/{DAY}")
    assert share["curtailed_energy_mwh"] == top["curtailed_energy_mwh"]
    assert 0 < Decimal(share["curtailment_percent"]) <= 100
    assert share["periods_known"] == 46
    party = await get(f"{path}/lead-party/{top['lead_party']}/{DAY}")
    assert Decimal(party["curtailed_energy_mwh"]) >= Decimal(share["curtailed_energy_mwh"])
    notified = await get(f"production/pn-data/{DAY}/46")
    assert len(notified["items"]) > 100
    values = (await get(f"curtailment/value/{DAY}"))["items"]
    assert all(one["system_price_gbp_per_mwh"] is not None for one in values)


async def test_a_period_that_fails_keeps_its_figures_and_says_so(
    get: Get, taken: Callable[[], Awaitable[None]], elexon: Elexon
) -> None:
    await taken()
    before = await get(f"summary/daily/{DAY}")
    hour = (await get(f"curtailment/hourly/{DAY}"))["items"][9]
    number = hour["settlement_periods"][0]
    elexon.fault(Fault.STATUS_500, Resource.STACK, day=DAY, period=number)
    elexon.edit(Edit(DAY, period=number, scale=0))
    await taken()
    after = await get(f"summary/daily/{DAY}")
    assert after["total_curtailed_energy_mwh"] == before["total_curtailed_energy_mwh"]
    assert (after["is_complete"], after["periods_complete"]) == (False, 45)
    again = (await get(f"curtailment/hourly/{DAY}"))["items"][9]
    assert again == hour | {"is_complete": False}


async def test_a_period_that_becomes_empty_falls_out_of_every_sum(
    get: Get, taken: Callable[[], Awaitable[None]], elexon: Elexon
) -> None:
    await taken()
    paths = (f"summary/daily/{DAY}", f"summary/monthly/{DAY:%Y-%m}", f"summary/yearly/{DAY:%Y}")
    before = [Decimal((await get(path))["total_curtailed_energy_mwh"]) for path in paths]
    hours = (await get(f"curtailment/hourly/{DAY}"))["items"]
    amounts = [Decimal(one["curtailed_energy_mwh"]) for one in hours]
    index = amounts.index(max(amounts))
    hour = hours[index]
    for number in hour["settlement_periods"]:
        elexon.edit(Edit(DAY, period=number, scale=0))
    await taken()
    gone = Decimal(hour["curtailed_energy_mwh"])
    assert gone > 0
    after = [Decimal((await get(path))["total_curtailed_energy_mwh"]) for path in paths]
    assert all(near(one - other, gone, "0.00001") for one, other in zip(before, after, strict=True))
    now_empty = (await get(f"curtailment/hourly/{DAY}"))["items"][index]
    assert (now_empty["curtailed_energy_mwh"], now_empty["is_complete"]) == ("0.000000", True)
