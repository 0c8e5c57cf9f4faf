"""Each path answers what the provider's does: fields, envelopes, types, refusals."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import aiohttp
import pytest

from simulation.elexon import Elexon
from simulation.elexon.settlement import start_of
from simulation.upstreams.clock import HandClock

Get = Callable[..., Awaitable[Any]]
STACK = "/balancing/settlement/stack/all"
STACK_FIELDS = [
    "settlementDate",
    "settlementPeriod",
    "startTime",
    "createdDateTime",
    "sequenceNumber",
    "id",
    "acceptanceId",
    "bidOfferPairId",
    "cadlFlag",
    "soFlag",
    "storProviderFlag",
    "repricedIndicator",
    "reserveScarcityPrice",
    "originalPrice",
    "volume",
    "dmatAdjustedVolume",
    "arbitrageAdjustedVolume",
    "nivAdjustedVolume",
    "parAdjustedVolume",
    "finalPrice",
    "transmissionLossMultiplier",
    "tlmAdjustedVolume",
    "tlmAdjustedCost",
]


async def test_a_stack_is_wrapped_and_has_every_field(get: Get) -> None:
    answer = await get(f"{STACK}/bid/2025-10-26/50")
    assert answer["metadata"] == {"datasets": ["ISPSTACK"]}
    for number, row in enumerate(answer["data"], start=1):
        assert list(row) == STACK_FIELDS
        assert row["settlementDate"] == "2025-10-26"
        assert (row["settlementPeriod"], row["sequenceNumber"]) == (50, number)
        assert row["startTime"] == "2025-10-26T23:30:00Z"
        assert isinstance(row["volume"], float)
        assert isinstance(row["soFlag"], bool)
    offers = (await get(f"{STACK}/offer/2025-10-26/50"))["data"]
    assert sum(row["volume"] > 0 for row in offers) > len(offers) / 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{STACK}/bid/2025-03-30/47", 404),
        (f"{STACK}/bid/2025-10-26/51", 400),
        (f"{STACK}/bid/2025-03-04/0", 400),
        (f"{STACK}/bid/2025-03-04/x", 400),
        (f"{STACK}/bid/2025-02-30/1", 400),
        (f"{STACK}/bid/20250304/1", 400),
        (f"{STACK}/both/2025-03-04/1", 400),
        (f"{STACK}/bid/2015-11-04/1", 404),
        ("/balancing/settlement/system-prices/soon", 400),
        ("/balancing/physical/all?settlementDate=2025-03-04&settlementPeriod=1", 400),
        ("/balancing/physical/all?dataset=PN", 400),
        ("/datasets/B1610?settlementDate=2025-03-04", 400),
        ("/datasets/PN/stream?from=2025-03-01&to=2025-03-09", 400),
        ("/datasets/PN/stream?from=2025-03-01", 400),
        ("/datasets/FUELHH?settlementDateFrom=2025-03-01&settlementDateTo=2025-03-08", 400),
    ],
)
async def test_what_is_not_there_or_not_taken(get: Get, path: str, status: int) -> None:
    assert (await get(path, status=status))["status"] == status


async def test_a_period_comes_out_a_quarter_of_an_hour_after_its_end(
    get: Get, elexon: Elexon, clock: HandClock
) -> None:
    day = clock.at.date()
    clock.at = start_of(day, 21) + timedelta(minutes=44)
    await get(f"{STACK}/bid/{day}/21", status=404)
    elexon.state.unpublished_is_empty = True
    assert (await get(f"{STACK}/bid/{day}/21"))["data"] == []
    clock.forward(60)
    assert (await get(f"{STACK}/bid/{day}/21"))["data"]
    prices = (await get(f"/balancing/settlement/system-prices/{day}"))["data"]
    assert [row["settlementPeriod"] for row in prices] == list(range(1, 22))
    assert all(row["systemSellPrice"] == row["systemBuyPrice"] for row in prices)


async def test_the_registry_is_a_bare_list(get: Get) -> None:
    rows: list[Any] = await get("/reference/bmunits/all")
    assert isinstance(rows, list)  # not wrapped, as all else is
    first: dict[str, Any] = rows[0]
    assert {"nationalGridBmUnit", "elexonBmUnit", "fuelType", "leadPartyName"} <= first.keys()


async def test_notifications_of_one_period_and_of_a_span(get: Get, elexon: Elexon) -> None:
    unit = elexon.britain.registry.wind[0].elexon_id
    ask = {"dataset": "PN", "settlementDate": "2025-03-04"}
    whole = (await get("/balancing/physical/all", settlementPeriod=5, **ask))["data"]
    assert len(whole) == 270
    [row] = (await get("/balancing/physical/all", settlementPeriod=5, bmUnit=unit, **ask))["data"]
    assert row in whole
    assert (row["timeFrom"], row["timeTo"]) == ("2025-03-04T02:00:00Z", "2025-03-04T02:30:00Z")
    assert isinstance(row["levelFrom"], int)
    span = {"from": "2025-03-04T02:00Z", "to": "2025-03-04T03:15Z", "bmUnit": unit}
    rows = await get("/datasets/PN/stream", **span)
    assert [each["settlementPeriod"] for each in rows] == [5, 6, 7]
    assert rows[0] == row
    by_period = {"from": "2025-10-26", "to": "2025-10-26", "bmUnit": unit}
    by_period |= {"settlementPeriodFrom": "1", "settlementPeriodTo": "50"}
    assert len(await get("/datasets/PN/stream", **by_period)) == 50


async def test_meters_are_read_after_five_days(get: Get, clock: HandClock) -> None:
    old = {"settlementDate": "2025-03-04", "settlementPeriod": 5}
    rows = (await get("/datasets/B1610", **old))["data"]
    assert rows[0]["halfHourEndTime"] == "2025-03-04T02:30:00"
    assert any(row["quantity"] < 0 for row in rows)
    day = clock.at.date() - timedelta(days=4)
    young = {"settlementDate": day.isoformat(), "settlementPeriod": 5}
    assert (await get("/datasets/B1610", **young))["data"] == []
    clock.forward(86400)
    assert {
        row["settlementRunType"] for row in (await get("/datasets/B1610", **young))["data"]
    } == {"II"}


async def test_meters_count_what_was_notified_less_what_was_taken_off(
    get: Get, elexon: Elexon
) -> None:
    plan = elexon.britain.day(date(2025, 3, 4))
    metered = (await get("/datasets/B1610", settlementDate="2025-03-04", settlementPeriod=9))[
        "data"
    ]
    quantity = {row["bmUnit"]: row["quantity"] for row in metered}
    for index, unit in enumerate(elexon.britain.registry.wind):
        given = float(plan.output_mw[index, 8] - plan.down_mw[index, 8]) / 2
        if given:
            assert quantity[unit.elexon_id] == pytest.approx(given, rel=0.1)


async def test_generation_by_type_and_by_fuel_agree(get: Get) -> None:
    span = {"from": "2025-03-04", "to": "2025-03-04"}
    span |= {"settlementPeriodFrom": "1", "settlementPeriodTo": "48"}
    by_type = (await get("/generation/actual/per-type/wind-and-solar", **span))["data"]
    assert len(by_type) == 3 * 48
    assert {row["psrType"] for row in by_type} == {"Wind Onshore", "Wind Offshore", "Solar"}
    days = {"settlementDateFrom": "2025-03-04", "settlementDateTo": "2025-03-04"}
    fuels = (await get("/datasets/FUELHH", fuelType="WIND", **days))["data"]
    for row in fuels:
        wind = sum(
            each["quantity"]
            for each in by_type
            if each["settlementPeriod"] == row["settlementPeriod"]
            and each["psrType"].startswith("Wind")
        )
        assert row["generation"] == round(wind)
    published = {
        "publishDateTimeFrom": "2025-03-04T00:00Z",
        "publishDateTimeTo": "2025-03-04T01:00Z",
    }
    agws = await get("/datasets/AGWS/stream", **published)
    assert {row["dataset"] for row in agws} == {"AGWS"}


async def test_calls_are_counted_and_so_are_those_open_at_once(
    get: Get, elexon: Elexon, http: aiohttp.ClientSession
) -> None:
    await get(f"{STACK}/bid/2025-03-04/1")
    await get(f"{STACK}/bid/2025-03-04/1")
    await get("/reference/bmunits/all")
    assert elexon.calls == {"stack": 2, "units": 1}
    assert elexon.paths[f"{STACK}/bid/2025-03-04/1"] == 2
    assert elexon.most_open == 1
    elexon.reset()
    assert not elexon.calls
