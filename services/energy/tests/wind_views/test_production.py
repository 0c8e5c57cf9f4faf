from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from common.clock import now
from common.runtime import Runtime
from energy.wind.models import IngestionProgress, WindOutput

Get = Callable[..., Awaitable[dict[str, Any]]]
Ingest = Callable[..., Awaitable[None]]
Told = Callable[..., Awaitable[None]]
DAY = date(2025, 3, 4)
FARM = "production/curtailment-percentage/farm"
PARTY = "production/curtailment-percentage/lead-party"
pytestmark = pytest.mark.usefixtures("models", "epochs", "units")


@pytest.fixture
def output(runtime: Runtime) -> Told:
    """Keep what a unit meant to generate in a period, and what its meter says."""

    async def keep(
        unit: str, period: int, notified: str | None, metered: str | None = None
    ) -> None:
        async with runtime.worker_session() as session:
            session.add(
                WindOutput(
                    settlement_date=DAY,
                    settlement_period=period,
                    farm_id=unit,
                    notified_mwh=None if notified is None else Decimal(notified),
                    metered_mwh=None if metered is None else Decimal(metered),
                    simulated=True,
                )
            )

    return keep


async def test_a_farms_share_is_of_what_it_meant_to_generate(
    get: Get, ingest: Ingest, bid: Any, output: Told
) -> None:
    await output("T_GORDW-1", 1, "40", "10")
    await output("T_GORDW-1", 2, "40", "40")
    await output("T_GORDW-2", 1, "100")
    await ingest(DAY, {1: [bid("T_GORDW-1", "20"), bid("T_GORDW-1", "10"), bid("T_GORDW-2", "1")]})
    answer = await get(f"{FARM}/T_GORDW-1/2025-03-04")
    assert (answer["curtailed_energy_mwh"], answer["notified_mwh"]) == ("30.000000", "80.000000")
    assert (answer["metered_mwh"], answer["curtailment_percent"]) == ("50.000000", "37.5000")
    assert (answer["farm_name"], answer["lead_party"]) == ("Gordonbush", "Beinn Power")
    assert (answer["periods_known"], answer["reason"], answer["units"]) == (2, None, 1)
    assert [one["curtailment_percent"] for one in answer["items"][:3]] == [
        "75.0000",
        "0.0000",
        None,
    ]
    assert answer["items"][2]["curtailed_energy_mwh"] == "0.000000"
    assert len(answer["items"]) == 48
    assert answer["simulated"] is True


async def test_a_lead_partys_share_is_of_all_its_units(
    get: Get, ingest: Ingest, bid: Any, output: Told
) -> None:
    await output("T_GORDW-1", 1, "40")
    await output("T_GORDW-2", 1, "60")
    await ingest(DAY, {1: [bid("T_GORDW-1", "20"), bid("E_STILL-1", "5")]})
    answer = await get(f"{PARTY}/Beinn Power/2025-03-04")
    assert (answer["curtailment_percent"], answer["units"]) == ("20.0000", 2)
    assert (answer["lead_party"], answer["farm_id"]) == ("Beinn Power", None)


async def test_without_notifications_there_is_no_share(
    get: Get, ingest: Ingest, bid: Any, output: Told
) -> None:
    await ingest(DAY, {1: [bid("T_GORDW-1", "20")]})
    answer = await get(f"{FARM}/T_GORDW-1/2025-03-04")
    assert (answer["curtailment_percent"], answer["reason"]) == (None, "no_notifications")
    assert (answer["curtailed_energy_mwh"], answer["notified_mwh"]) == ("20.000000", None)
    await output("T_GORDW-1", 9, "0")
    nothing = await get(f"{FARM}/T_GORDW-1/2025-03-04")
    assert (nothing["curtailment_percent"], nothing["reason"]) == (None, "nothing_notified")


async def test_what_was_turned_down_of_an_unknown_whole_is_no_share_of_another(
    get: Get, ingest: Ingest, bid: Any, output: Told
) -> None:
    await output("T_GORDW-1", 1, "40")
    await ingest(DAY, {1: [bid("T_GORDW-1", "10")], 2: [bid("T_GORDW-1", "30")]})
    answer = await get(f"{FARM}/T_GORDW-1/2025-03-04")
    assert (answer["curtailment_percent"], answer["curtailed_energy_mwh"]) == (
        "25.0000",
        "40.000000",
    )


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (f"{FARM}/T_NONE-1/2025-03-04", 404, "unknown_farm"),
        (f"{PARTY}/Nobody/2025-03-04", 404, "unknown_lead_party"),
        (f"{FARM}/T_GORDW-1/2025-03-05", 404, "no_wind_data"),
        (f"{FARM}/T_GORDW-1/2025-02-30", 422, "invalid"),
        (f"{FARM}/{'x' * 129}/2025-03-04", 422, "invalid"),
        ("production/pn-data/2025-03-04/1", 404, "no_wind_data"),
        ("production/pn-data/2025-03-04/0", 422, "invalid"),
        ("production/pn-data/2025-03-04/49", 422, "invalid"),
        ("production/pn-data/2025-03-30/47", 422, "invalid"),
        ("production/pn-data/2025-10-26/51", 422, "invalid"),
        ("production/pn-data/2025-10-26/50", 404, "no_wind_data"),
        ("wind-generation/2025-03-04", 404, "no_wind_data"),
        ("wind-generation/2025-3-4", 422, "invalid"),
        ("wind-generation/check?date=yesterday", 422, "invalid"),
    ],
)
async def test_what_is_not_there_or_not_possible_is_told(
    get: Get, ingest: Ingest, path: str, status: int, said: str
) -> None:
    await ingest(DAY, {})
    assert (await get(path, status))["code"] == said


async def test_notifications_come_largest_first(
    get: Get, ingest: Ingest, bid: Any, output: Told
) -> None:
    await output("T_GORDW-1", 3, "40")
    await output("T_MOWEO-1", 3, "400", "395")
    await ingest(DAY, {3: [bid("T_GORDW-1", "10"), bid("E_STILL-1", "2")]})
    answer = await get("production/pn-data/2025-03-04/3")
    assert answer["starts_at"] == "2025-03-04T01:00:00Z"
    assert [one["farm_id"] for one in answer["items"]] == ["T_MOWEO-1", "T_GORDW-1", "E_STILL-1"]
    assert [one["curtailment_percent"] for one in answer["items"]] == ["0.0000", "25.0000", None]
    party = await get("production/pn-data/2025-03-04/3?lead_party=Beinn Power")
    assert [one["farm_id"] for one in party["items"]] == ["T_GORDW-1"]
    farm = await get("production/pn-data/2025-03-04/3?farm_id=T_MOWEO-1")
    assert farm["items"][0]["metered_mwh"] == "395.000000"


async def test_generation_is_shown_by_period_and_summed(
    get: Get, generated: Callable[..., Awaitable[None]]
) -> None:
    await generated(DAY, onshore="1000", offshore="2000.5", missing=[48])
    answer = await get("wind-generation/2025-03-04")
    assert (answer["onshore_mwh"], answer["offshore_mwh"]) == ("23500.000000", "47011.750000")
    assert (answer["total_mwh"], answer["periods_known"]) == ("70511.750000", 47)
    assert (answer["is_complete"], answer["sources"]) == (False, ["wind-and-solar"])
    assert answer["items"][0]["total_mw"] == "3000.500000"
    assert answer["items"][47]["total_mw"] is None
    check = await get("wind-generation/check?date=2025-03-04")
    assert (check["periods_expected"], check["missing_periods"]) == (48, [48])


async def test_a_part_that_is_not_known_is_no_nothing(
    get: Get, generated: Callable[..., Awaitable[None]]
) -> None:
    await generated(DAY, onshore=None, offshore="10")
    answer = await get("wind-generation/2025-03-04")
    assert (answer["onshore_mwh"], answer["total_mwh"]) == (None, "240.000000")


async def test_the_status_of_generation(
    get: Get, runtime: Runtime, generated: Callable[..., Awaitable[None]]
) -> None:
    assert (await get("wind-generation/status"))["last_date"] is None
    await generated(DAY, onshore="1", offshore="1", missing=[47, 48])
    await generated(date(2025, 3, 1), onshore="1", offshore="1")
    async with runtime.worker_session() as session:
        session.add(
            IngestionProgress(
                process="live",
                last_processed_date=DAY,
                status="failed",
                error_message="timed out",
                updated_at=now(),
            )
        )
    answer = await get("wind-generation/status")
    assert (answer["first_date"], answer["last_date"]) == ("2025-03-01", "2025-03-04")
    assert (answer["last_period"], answer["days"]) == (46, 2)
    assert (answer["status"], answer["error"]) == ("failed", "timed out")
