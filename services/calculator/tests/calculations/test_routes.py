"""The calculation through HTTP: figures, inputs, refusals."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from httpx import AsyncClient

from simulation.upstreams import Fault

PATH = "/api/calculator/calculate"
Json: TypeAlias = dict[str, Any]
ClientAs: TypeAlias = Callable[..., AsyncClient]
KNOWN_BTC = 110e12 * 86_400 / (80e12 * 2**32) * 3.125


async def calculated(client: AsyncClient, body: Json, **changes: Any) -> Json:
    answer = await client.post(PATH, json=body | changes)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(client: AsyncClient, body: Json, **changes: Any) -> Json:
    kept = {name: value for name, value in (body | changes).items() if value is not None}
    answer = await client.post(PATH, json=kept)
    assert 400 <= answer.status_code < 500, answer.text
    return answer.json()


async def test_the_figures_are_those_of_the_formula(anonymous: AsyncClient, closed: Json) -> None:
    found = await calculated(anonymous, closed, capex_usd=2_500)
    assert found["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    assert found["revenue_usd_per_day"] == pytest.approx(KNOWN_BTC * 60_000, abs=1e-6)
    assert found["energy_kwh_per_day"] == 78
    assert found["cost_usd_per_day"] == 3.9
    assert found["profit_usd_per_day"] == pytest.approx(KNOWN_BTC * 60_000 - 3.9, abs=1e-6)
    assert found["break_even_days"] == pytest.approx(2_500 / (KNOWN_BTC * 60_000 - 3.9))
    assert found["network_hashrate_ehs"] == pytest.approx(80e12 * 2**32 / 600 / 1e18)
    assert found["hashprice_btc_per_ph_day"] == pytest.approx(KNOWN_BTC / 110 * 1_000, abs=1e-12)
    assert found["hashprice_usd_per_ph_day"] == pytest.approx(KNOWN_BTC / 110 * 6e7, abs=1e-5)
    assert found["year"]["btc"] == pytest.approx(365 * KNOWN_BTC, abs=1e-9)
    assert found["month"]["days"] == pytest.approx(365 / 12)
    assert found["month"]["profit_usd"] == pytest.approx(found["year"]["profit_usd"] / 12)


async def test_the_documents_names_are_understood(anonymous: AsyncClient, closed: Json) -> None:
    terms = {name: closed[name] for name in ("btc_price_usd", "difficulty", "subsidy_btc")}
    body = {"miner_model": "Antminer S19 Pro", "electricity_cost": 0.05, **terms}
    found = await calculated(anonymous, body)
    assert found["model"] == "Antminer S19 Pro 110T"
    assert found["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    assert found["inputs"]["power_w"] == {
        "value": 3250, "source": "model", "age_s": None, "stale": False, "simulated": False,
    }  # fmt: skip


async def test_a_string_is_read_as_the_number_it_writes(
    anonymous: AsyncClient, closed: Json
) -> None:
    found = await calculated(anonymous, closed, electricity_usd_per_kwh="0.05")
    assert found["cost_usd_per_day"] == 3.9


async def test_the_models_reference_price_stands_in_for_the_capex_and_says_so(
    anonymous: AsyncClient, closed: Json
) -> None:
    del closed["hashrate_ths"], closed["power_w"]
    found = await calculated(anonymous, closed, model="S19 Pro", count=4)
    assert found["inputs"]["capex_usd"]["value"] == 2_500
    assert found["inputs"]["capex_usd"]["source"] == "model"
    assert found["break_even_days"] == pytest.approx(1_943.555136)
    own = await calculated(anonymous, closed, model="S19 Pro", capex_usd=1_250)
    assert own["inputs"]["capex_usd"]["source"] == "given"
    assert own["break_even_days"] == pytest.approx(1_943.555136 / 2)


async def test_without_capex_there_is_no_break_even_day(
    anonymous: AsyncClient, closed: Json
) -> None:
    found = await calculated(anonymous, closed)
    assert found["break_even_days"] is found["roi_percent_per_year"] is None
    assert found["inputs"]["capex_usd"]["source"] == "unknown"


async def test_a_loss_has_no_break_even_day(anonymous: AsyncClient, closed: Json) -> None:
    found = await calculated(anonymous, closed, electricity_usd_per_kwh=1, capex_usd=2_500)
    assert found["profit_usd_per_day"] < 0
    assert found["break_even_days"] is None
    assert found["roi_percent_per_year"] < 0


async def test_electricity_may_be_free(anonymous: AsyncClient, closed: Json) -> None:
    found = await calculated(anonymous, closed, electricity_usd_per_kwh=0, capex_usd=2_500)
    assert found["break_even_btc_price_usd"] == 0
    assert found["margin_percent"] == 100
    assert found["roi_percent_per_year"] > 0


async def test_a_hundred_machines_earn_a_hundredfold(anonymous: AsyncClient, closed: Json) -> None:
    one = await calculated(anonymous, closed, capex_usd=2_500, other_opex_usd_per_day=0.1)
    many = await calculated(
        anonymous, closed, capex_usd=2_500, other_opex_usd_per_day=0.1, count=100
    )
    for name in ("btc_per_day", "revenue_usd_per_day", "cost_usd_per_day", "energy_kwh_per_day"):
        assert many[name] == pytest.approx(100 * one[name], rel=1e-5)
    for name in ("break_even_days", "margin_percent", "break_even_usd_per_kwh"):
        assert many[name] == pytest.approx(one[name], rel=1e-6)


async def test_an_idle_machine_has_no_margin(anonymous: AsyncClient, closed: Json) -> None:
    found = await calculated(anonymous, closed, uptime_percent=0)
    assert found["btc_per_day"] == found["profit_usd_per_day"] == 0
    assert found["margin_percent"] is found["break_even_usd_per_kwh"] is None


async def test_what_was_assumed_is_stated(anonymous: AsyncClient, closed: Json) -> None:
    inputs = (await calculated(anonymous, closed, pool_fee_percent=2))["inputs"]
    assert {name: (one["value"], one["source"]) for name, one in inputs.items()} == {
        "hashrate_ths": (110, "given"),
        "power_w": (3250, "given"),
        "count": (1, "default"),
        "electricity_usd_per_kwh": (0.05, "given"),
        "btc_price_usd": (60_000, "given"),
        "difficulty": (80e12, "given"),
        "subsidy_btc": (3.125, "given"),
        "fees_btc_per_block": (0, "default"),
        "pool_fee_percent": (2, "given"),
        "uptime_percent": (100, "default"),
        "stale_percent": (0, "default"),
        "capex_usd": (None, "unknown"),
        "other_opex_usd_per_day": (0, "default"),
    }


async def test_another_currency_needs_its_rate(anonymous: AsyncClient, closed: Json) -> None:
    problem = await refused(anonymous, closed, currency="EUR")
    assert (problem["code"], problem["field"]) == ("currency_unknown", "currency")
    found = await calculated(anonymous, closed, currency="EUR", usd_per_currency=1.25)
    assert found["converted"]["cost_per_day"] == pytest.approx(3.9 / 1.25)
    assert (await calculated(anonymous, closed, currency="USD"))["converted"]["cost_per_day"] == 3.9


async def test_the_market_fills_what_is_left_open(anonymous: AsyncClient) -> None:
    found = await calculated(anonymous, {"model": "S21", "electricity_usd_per_kwh": 0.06})
    for name in ("btc_price_usd", "difficulty", "subsidy_btc", "fees_btc_per_block"):
        stated = found["inputs"][name]
        assert stated["source"] not in ("given", "default", "unknown")
        assert stated["age_s"] >= 0
    assert found["inputs"]["btc_price_usd"]["simulated"] is True
    gross = found["hashprice_btc_per_ph_day"]
    assert found["btc_per_day"] == pytest.approx(gross * 0.2, abs=1e-10)


async def test_the_second_algorithm_takes_the_other_pair(anonymous: AsyncClient) -> None:
    found = await calculated(anonymous, {"model": "S21", "electricity_usd_per_kwh": 0.06})
    check = found["verification"]
    assert check["primary"]["btc_per_day"] == found["btc_per_day"]
    assert check["secondary"]["network_source"] != check["primary"]["network_source"]
    ratio = check["secondary"]["btc_per_day"] / check["primary"]["btc_per_day"]
    assert check["difference_percent"] == pytest.approx(abs(ratio - 1) * 100, abs=1e-3)
    assert check["agrees"] is (check["difference_percent"] <= 1)


async def test_given_a_difficulty_only_the_arithmetic_is_checked(
    anonymous: AsyncClient, closed: Json
) -> None:
    check = (await calculated(anonymous, closed))["verification"]
    assert (check["agrees"], check["difference_percent"]) == (True, 0)
    assert check["secondary"]["btc_per_day"] == pytest.approx(KNOWN_BTC, abs=1e-12)
    assert "given" in check["reason"]


async def test_without_the_other_pair_nothing_is_said_to_agree(
    world: Any, anonymous: AsyncClient
) -> None:
    world.fault(Fault.STATUS_500, "mempool", "ankr")
    check = (await calculated(anonymous, {"model": "S21", "electricity_cost": 0.06}))[
        "verification"
    ]
    assert check["secondary"] is check["agrees"] is check["difference_percent"] is None
    assert check["reason"]


async def test_providers_that_differ_by_more_than_2_percent_are_warned_of(
    world: Any, anonymous: AsyncClient
) -> None:
    world.fault(Fault.OFF_BY_HALF, "mempool")
    found = await calculated(anonymous, {"model": "S21", "electricity_cost": 0.06})
    assert any("price" in warning.lower() for warning in found["warnings"])
    check = found["verification"]
    assert check["price_difference_percent"] > 2


async def test_more_than_1_percent_apart_is_flagged(world: Any, anonymous: AsyncClient) -> None:
    world.fault(Fault.OFF_BY_HALF, "mempool", "ankr")
    found = await calculated(anonymous, {"model": "S21", "electricity_cost": 0.06})
    check = found["verification"]
    assert check["difference_percent"] > 1
    assert check["agrees"] is False
    assert any("algorithms differ" in warning for warning in found["warnings"])


async def test_with_all_sources_down_the_last_figures_are_used_and_marked_stale(
    world: Any, anonymous: AsyncClient
) -> None:
    body = {"model": "S21", "electricity_cost": 0.06}
    await calculated(anonymous, body)
    world.fault(Fault.REFUSED)
    world.clock.forward(timedelta(hours=3).total_seconds())
    await calculated(anonymous, body)  # the old answer is served while it is renewed
    world.clock.forward(10)
    found = await calculated(anonymous, body)
    price = found["inputs"]["btc_price_usd"]
    assert price["stale"] is True
    assert price["age_s"] >= 3 * 3_600


async def test_with_nothing_known_at_all_it_is_503_with_retry_after(
    world: Any, anonymous: AsyncClient, closed: Json
) -> None:
    world.fault(Fault.REFUSED)
    answer = await anonymous.post(PATH, json={"model": "S21", "electricity_cost": 0.06})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    await calculated(anonymous, closed)  # what needs no market does not mind


async def test_an_unknown_model_is_404(anonymous: AsyncClient) -> None:
    answer = await anonymous.post(PATH, json={"model": "S99", "electricity_cost": 0.05})
    assert answer.status_code == 404
    assert (answer.json()["code"], answer.json()["field"]) == ("miner_model_not_found", "model")


async def test_an_own_model_takes_the_shared_ones_place_for_its_owner(
    user: AsyncClient, anonymous: AsyncClient, closed: Json
) -> None:
    own = {"name": "Antminer S9 13.5T", "manufacturer": "Me", "hashrate_ths": 20, "power_w": 900}
    made = (await user.post("/api/calculator/miner-models", json=own)).json()
    del closed["hashrate_ths"], closed["power_w"]
    for name in ("Antminer S9 13.5T", made["id"]):
        found = await calculated(user, closed, model=name)
        assert found["inputs"]["power_w"]["value"] == 900
    others = await calculated(anonymous, closed, model="Antminer S9 13.5T")
    assert others["inputs"]["power_w"]["value"] == 1323
    hidden = await anonymous.post(PATH, json=closed | {"model": made["id"]})
    assert hidden.status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("electricity_usd_per_kwh", -0.01),
        ("electricity_usd_per_kwh", 5.01),
        ("electricity_usd_per_kwh", "NaN"),
        ("electricity_usd_per_kwh", "inf"),
        ("electricity_usd_per_kwh", "1e400"),
        ("electricity_usd_per_kwh", "five"),
        ("electricity_usd_per_kwh", True),
        ("electricity_usd_per_kwh", []),
        ("pool_fee_percent", 100),
        ("pool_fee_percent", -1),
        ("uptime_percent", 100.1),
        ("uptime_percent", -1),
        ("stale_percent", 100),
        ("difficulty", 0),
        ("difficulty", -1),
        ("difficulty", "1e400"),
        ("subsidy_btc", -0.1),
        ("subsidy_btc", 51),
        ("fees_btc_per_block", -0.1),
        ("capex_usd", -1),
        ("other_opex_usd_per_day", -1),
        ("btc_price_usd", 0),
        ("btc_price_usd", -60_000),
        ("hashrate_ths", 0),
        ("power_w", -3250),
        ("count", 0),
        ("count", 1.5),
        ("count", 1_000_001),
        ("currency", "euro"),
        ("colour", "red"),
    ],
)
async def test_bad_input_is_422_and_names_its_field(
    anonymous: AsyncClient, closed: Json, field: str, value: Any
) -> None:
    answer = await anonymous.post(PATH, json=closed | {field: value})
    assert answer.status_code == 422
    assert answer.json()["field"] == field


async def test_a_number_too_large_for_any_computer_is_422(anonymous: AsyncClient) -> None:
    for text in ("1e400", "1" + "0" * 400):
        content = f'{{"model": "S19 Pro", "electricity_cost": {text}}}'
        answer = await anonymous.post(
            PATH, content=content, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422
        assert answer.json()["field"] == "electricity_cost"


async def test_nan_is_not_json(anonymous: AsyncClient) -> None:
    answer = await anonymous.post(
        PATH,
        content='{"model": "S19 Pro", "electricity_cost": NaN}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400


async def test_the_machine_must_be_clear(anonymous: AsyncClient, closed: Json) -> None:
    for changes in ({"power_w": None}, {"hashrate_ths": None}):
        problem = await refused(anonymous, closed, **changes)
        assert (problem["status"], problem["code"]) == (422, "machine_unclear")


async def test_electricity_is_given_in_one_way(anonymous: AsyncClient, closed: Json) -> None:
    none = await refused(anonymous, closed, electricity_usd_per_kwh=None)
    assert (none["status"], none["field"]) == (422, "electricity_usd_per_kwh")
    site = "0193a1c2-0000-7000-8000-000000000001"
    two = await refused(anonymous, closed, site_id=site)
    assert (two["status"], two["code"], two["field"]) == (422, "electricity_unclear", "site_id")
    for field in ("rate_id", "site_id"):
        later = await refused(anonymous, closed, electricity_usd_per_kwh=None, **{field: site})
        assert (later["status"], later["code"], later["field"]) == (422, "rate_unknown", field)
        assert "electricity_usd_per_kwh" in later["detail"]
