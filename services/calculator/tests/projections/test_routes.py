"""The projection through HTTP."""

from typing import Any, TypeAlias

import pytest
from httpx import AsyncClient

PATH = "/api/calculator/projection"
GRID = f"{PATH}/sensitivity"
Json: TypeAlias = dict[str, Any]
KNOWN_BTC = 110e12 * 86_400 / (80e12 * 2**32) * 3.125


async def projected(client: AsyncClient, body: Json, path: str = PATH, **changes: Any) -> Json:
    answer = await client.post(path, json=body | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_year_without_change_is_365_days(anonymous: AsyncClient, closed: Json) -> None:
    found = await projected(anonymous, closed, months=12, capex_usd=400)
    assert found["days"] == 365
    assert found["btc_total"] == pytest.approx(365 * KNOWN_BTC, abs=1e-10)
    assert found["cost_usd"] == pytest.approx(365 * 3.9)
    assert len(found["months"]) == 12
    cash_flow = 365 * (KNOWN_BTC * 60_000 - 3.9)
    assert found["cash_flow_usd"] == pytest.approx(cash_flow, abs=1e-4)
    assert found["npv_usd"] == pytest.approx(cash_flow - 400, abs=1e-4)
    assert sum(month["cash_flow_usd"] for month in found["months"]) == pytest.approx(cash_flow)


async def test_growth_is_summed_by_day(anonymous: AsyncClient, closed: Json) -> None:
    found = await projected(anonymous, closed, days=28, difficulty_growth_percent_per_epoch=5)
    assert found["btc_total"] == pytest.approx(14 * KNOWN_BTC * (1 + 1 / 1.05), abs=1e-11)


async def test_the_halving_lies_at_its_height(anonymous: AsyncClient, closed: Json) -> None:
    found = await projected(anonymous, closed, days=10, start_height=1_050_000 - 5 * 144)
    assert found["btc_total"] == pytest.approx(7.5 * KNOWN_BTC, abs=1e-11)
    assert found["months"][0]["subsidy_btc"] == 1.5625


async def test_the_subsidy_follows_from_the_height(anonymous: AsyncClient, closed: Json) -> None:
    del closed["subsidy_btc"]
    found = await projected(anonymous, closed, days=1, start_height=840_000)
    assert found["inputs"]["subsidy_btc"]["value"] == 3.125
    assert found["inputs"]["subsidy_btc"]["source"] == "start_height"
    assert found["warnings"] == []


async def test_without_a_height_no_halving_is_reckoned_and_it_says_so(
    anonymous: AsyncClient, closed: Json
) -> None:
    found = await projected(anonymous, closed, months=120)
    assert any("halving" in warning for warning in found["warnings"])
    assert found["inputs"]["start_height"] == {
        "value": None, "source": "unknown", "age_s": None, "stale": False, "simulated": False,
    }  # fmt: skip


async def test_the_market_gives_height_and_figures(anonymous: AsyncClient) -> None:
    found = await projected(anonymous, {"model": "S21", "electricity_cost": 0.05}, months=6)
    assert found["inputs"]["start_height"]["source"] == "tip"
    assert found["inputs"]["start_height"]["value"] > 800_000
    assert found["inputs"]["difficulty"]["age_s"] >= 0


@pytest.mark.parametrize("path", [[50_000, 70_000], [50_000] * 30 + [70_000] * 31])
async def test_a_price_path_is_by_month_or_by_day(
    anonymous: AsyncClient, closed: Json, path: list[float]
) -> None:
    del closed["btc_price_usd"]
    found = await projected(anonymous, closed, months=2, price_path=path)
    expected = KNOWN_BTC * (30 * 50_000 + 31 * 70_000)
    assert found["revenue_usd"] == pytest.approx(expected, abs=1e-5)


async def test_a_price_path_of_another_length_is_refused(
    anonymous: AsyncClient, closed: Json
) -> None:
    answer = await anonymous.post(PATH, json=closed | {"months": 12, "price_path": [1, 2, 3]})
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == ("price_path_unclear", "price_path")


async def test_payback_is_a_month_or_never_or_unknown(anonymous: AsyncClient, closed: Json) -> None:
    soon = await projected(anonymous, closed, months=12, capex_usd=100)
    assert soon["payback_month"] == 3  # 39.1 USD a month
    never = await projected(anonymous, closed, months=12, capex_usd=10_000)
    assert never["payback_month"] == "never"
    unknown = await projected(anonymous, closed, months=12)
    assert unknown["payback_month"] is unknown["irr_percent_per_month"] is None
    free = await projected(anonymous, closed, months=12, capex_usd=0)
    assert free["payback_month"] == 0


async def test_the_rate_of_return_makes_the_present_value_nil(
    anonymous: AsyncClient, closed: Json
) -> None:
    found = await projected(anonymous, closed, months=24, capex_usd=400)
    rate = found["irr_percent_per_month"]
    assert rate > 0
    again = await projected(
        anonymous, closed, months=24, capex_usd=400, discount_percent_per_month=rate
    )
    assert again["npv_usd"] == pytest.approx(0, abs=1e-3)


async def test_nothing_coming_back_has_no_rate(anonymous: AsyncClient, closed: Json) -> None:
    found = await projected(
        anonymous, closed, months=24, capex_usd=400, electricity_usd_per_kwh=0.5
    )
    assert found["irr_percent_per_month"] is None
    assert found["irr_reason"]


async def test_the_capex_is_written_off_evenly(anonymous: AsyncClient, closed: Json) -> None:
    found = await projected(anonymous, closed, months=4, capex_usd=300, depreciation_months=3)
    assert [month["depreciation_usd"] for month in found["months"]] == [100, 100, 100, 0]
    assert [month["book_value_usd"] for month in found["months"]] == [200, 100, 0, 0]
    first = found["months"][0]
    assert first["profit_usd"] == pytest.approx(first["cash_flow_usd"] - 100, abs=1e-5)
    assert first["cumulative_usd"] == pytest.approx(first["cash_flow_usd"] - 300, abs=1e-5)


async def test_a_year_is_assumed_where_no_length_is_given(
    anonymous: AsyncClient, closed: Json
) -> None:
    found = await projected(anonymous, closed)
    assert (found["days"], found["inputs"]["days"]["source"]) == (365, "default")


async def test_the_grid_has_every_combination(anonymous: AsyncClient, closed: Json) -> None:
    body = closed | {"months": 12, "capex_usd": 400}
    grid = await projected(anonymous, body, GRID)
    assert len(grid["cells"]) == 125
    plain = await projected(anonymous, body)
    [middle] = [
        cell
        for cell in grid["cells"]
        if cell["price_change_percent"] == cell["electricity_change_percent"] == 0
        and cell["difficulty_change_percent"] == 0
    ]
    assert middle["npv_usd"] == pytest.approx(plain["npv_usd"], abs=1e-5)
    assert middle["payback_month"] == plain["payback_month"]


async def test_a_cell_is_what_its_own_projection_says(anonymous: AsyncClient, closed: Json) -> None:
    body = closed | {"months": 12, "capex_usd": 100}
    axes = {
        "price_change_percent": [10],
        "electricity_change_percent": [-50],
        "difficulty_change_percent": [20],
    }
    [cell] = (await projected(anonymous, body | axes, GRID))["cells"]
    changed = {
        "btc_price_usd": cell["btc_price_usd"],
        "electricity_usd_per_kwh": cell["electricity_usd_per_kwh"],
        "difficulty": cell["difficulty"],
    }
    plain = await projected(anonymous, body | changed)
    assert cell["npv_usd"] == pytest.approx(plain["npv_usd"], abs=1e-4)
    assert cell["cash_flow_usd"] == pytest.approx(plain["cash_flow_usd"], abs=1e-4)
    assert cell["payback_month"] == plain["payback_month"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"days": 30, "months": 1}, "months"),
        ({"days": 0}, "days"),
        ({"days": 3_651}, "days"),
        ({"months": 121}, "months"),
        ({"months": -1}, "months"),
        ({"difficulty_growth_percent_per_epoch": -76}, "difficulty_growth_percent_per_epoch"),
        ({"difficulty_growth_percent_per_epoch": 301}, "difficulty_growth_percent_per_epoch"),
        ({"difficulty_growth_percent_per_epoch": "NaN"}, "difficulty_growth_percent_per_epoch"),
        ({"price_path": []}, "price_path"),
        ({"price_path": [0]}, "price_path"),
        ({"start_height": -1}, "start_height"),
        ({"discount_percent_per_month": -1}, "discount_percent_per_month"),
        ({"depreciation_months": 0}, "depreciation_months"),
        ({"electricity_usd_per_kwh": -1}, "electricity_usd_per_kwh"),
        ({"horizon": 3}, "horizon"),
    ],
)
async def test_bad_input_is_422_and_names_its_field(
    anonymous: AsyncClient, closed: Json, changes: Json, field: str
) -> None:
    answer = await anonymous.post(PATH, json=closed | changes)
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_grid_of_too_many_cells_is_422(anonymous: AsyncClient, closed: Json) -> None:
    axis = [float(value) for value in range(20)]
    axes = {f"{name}_change_percent": axis for name in ("price", "electricity", "difficulty")}
    answer = await anonymous.post(GRID, json=closed | axes)
    assert answer.status_code == 422


async def test_the_fiercest_growth_stays_finite(anonymous: AsyncClient, closed: Json) -> None:
    for growth in (300, -75):
        found = await projected(
            anonymous, closed, days=3_650, difficulty_growth_percent_per_epoch=growth, capex_usd=1
        )
        assert len(found["months"]) == 120
