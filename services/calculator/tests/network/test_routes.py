"""The network over HTTP: how it stands, and its rules."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from calculator.network.epochs import bring_up_to_date

PATH = "/api/calculator/network"


@pytest.fixture
def anyone(client_as: Any) -> Any:
    return client_as(kind="anonymous", role="", scopes=frozenset[str]())


async def test_the_network_is_public_and_complete(world: Any, anyone: Any) -> None:
    answer = await anyone.get(PATH)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["simulated"] is True
    assert shown["stale"] is False
    difficulty = Decimal(shown["difficulty"]["value"])
    implied = difficulty * 2**32 / 600 / 10**18
    assert abs(Decimal(str(shown["hashrate"]["implied_ehs"])) - implied) < Decimal("1e-5")
    assert shown["hashrate"]["measured"]["source"] == "mempool"
    price = shown["hashprice"]
    assert Decimal(price["usd_per_ph_day"]) == pytest.approx(
        Decimal(price["usd_per_th_day"]) * 1000, abs=Decimal("1e-6")
    )
    assert Decimal(price["btc_per_ph_day"]) > 0
    halving = shown["halving"]
    assert halving["height"] == 1_050_000
    assert halving["remaining_blocks"] == 1_050_000 - shown["height"]
    assert (halving["subsidy_btc"], halving["subsidy_btc_after"]) == ("3.12500000", "1.56250000")
    retarget = shown["next_retarget"]
    assert retarget["height"] % 2016 == 0
    assert 0 < retarget["remaining_blocks"] <= 2016


async def test_the_next_retarget_is_foretold_by_the_pace(world: Any, anyone: Any) -> None:
    await bring_up_to_date(world.runtime)
    world.clock.forward(3 * 86_400)
    await world.renew()
    if (await anyone.get(PATH)).json()["next_retarget"]["remaining_blocks"] > 1950:
        world.clock.forward(86_400)  # an epoch that has just begun
        await world.renew()
    await bring_up_to_date(world.runtime)
    retarget = (await anyone.get(PATH)).json()["next_retarget"]
    assert retarget["basis"] == "the pace since the last retarget"
    assert -75 <= retarget["estimated_change_percent"] <= 300
    due = datetime.fromisoformat(retarget["estimated_at"])
    assert timedelta(0) < due - world.clock() < timedelta(days=57)


@pytest.mark.parametrize(
    ("height", "satoshi", "bitcoin"),
    [
        (0, 5_000_000_000, "50.00000000"),
        (839_999, 625_000_000, "6.25000000"),
        (840_000, 312_500_000, "3.12500000"),
        (1_050_000, 156_250_000, "1.56250000"),
        (6_930_000, 0, "0.00000000"),
    ],
)
async def test_subsidy_by_height(anyone: Any, height: int, satoshi: int, bitcoin: str) -> None:
    shown = (await anyone.get(f"{PATH}/subsidy", params={"height": height})).json()
    assert (shown["subsidy_sat"], shown["subsidy_btc"]) == (satoshi, bitcoin)
    assert shown["next_halving_height"] > height


@pytest.mark.parametrize(
    ("bits", "difficulty"),
    [
        ("0x1d00ffff", "1.000000"),
        ("0x17034219", "86388558925171.011713"),
        ("17028bb1", "110568428300952.694970"),
        ("386040449", "112149504190349.286301"),
    ],
)
async def test_difficulty_of_a_compact_form(anyone: Any, bits: str, difficulty: str) -> None:
    shown = (await anyone.get(f"{PATH}/difficulty", params={"bits": bits})).json()
    assert shown["difficulty"] == difficulty
    exact = Decimal(shown["difficulty_numerator"]) / Decimal(shown["difficulty_denominator"])
    assert abs(exact - Decimal(difficulty)) < Decimal("1e-6")


async def test_retarget_is_clamped(anyone: Any) -> None:
    async def next_after(timespan_s: int) -> dict[str, Any]:
        query = {"timespan_s": timespan_s, "difficulty": "110568428300952"}
        return (await anyone.get(f"{PATH}/retarget", params=query)).json()

    assert (await next_after(1_209_600))["next_difficulty"] == "110568428300952.000000"
    doubled = await next_after(604_800)
    assert (doubled["next_difficulty"], doubled["change_percent"]) == (
        "221136856601904.000000",
        100,
    )
    fastest, slowest = await next_after(1), await next_after(10**9)
    assert (fastest["next_difficulty"], fastest["clamped"]) == ("442273713203808.000000", True)
    assert (slowest["next_difficulty"], slowest["clamped_timespan_s"]) == (
        "27642107075238.000000",
        4_838_400,
    )


@pytest.mark.parametrize(
    ("place", "query", "field"),
    [
        ("subsidy", {"height": "-1"}, "height"),
        ("subsidy", {"height": "1e400"}, "height"),
        ("subsidy", {"height": "840000.5"}, "height"),
        ("subsidy", {}, "height"),
        ("subsidy", {"tall": "1"}, "tall"),
        ("difficulty", {"bits": ""}, "bits"),
        ("difficulty", {"bits": "0x00000000"}, "bits"),
        ("difficulty", {"bits": "0x17834219"}, "bits"),
        ("difficulty", {"bits": "0x207fffff"}, "bits"),
        ("difficulty", {"bits": "ff123456"}, "bits"),
        ("difficulty", {"bits": "-386089497"}, "bits"),
        ("difficulty", {"bits": "0x170342190000"}, "bits"),
        ("difficulty", {"bits": "bits"}, "bits"),
        ("retarget", {"timespan_s": "0", "difficulty": "100"}, "timespan_s"),
        ("retarget", {"timespan_s": "-5", "difficulty": "100"}, "timespan_s"),
        ("retarget", {"timespan_s": "1e400", "difficulty": "100"}, "timespan_s"),
        ("retarget", {"timespan_s": "1209600", "difficulty": "0"}, "difficulty"),
        ("retarget", {"timespan_s": "1209600", "difficulty": "-1"}, "difficulty"),
        ("retarget", {"timespan_s": "1209600", "difficulty": "NaN"}, "difficulty"),
        ("retarget", {"timespan_s": "1209600", "difficulty": "1e400"}, "difficulty"),
        ("retarget", {"timespan_s": "1209600"}, "difficulty"),
        ("epoch", {"at": "yesterday"}, "at"),
        ("epoch", {"at": "2024-04-20T00:09:27"}, "at"),
    ],
)
async def test_bad_queries_are_422_with_their_field(
    anyone: Any, place: str, query: dict[str, str], field: str
) -> None:
    answer = await anyone.get(f"{PATH}/{place}", params=query)
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text
