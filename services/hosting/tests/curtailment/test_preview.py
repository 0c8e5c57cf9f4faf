"""What a plan would do, and every way in which it cannot."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from common.testing import ClientFor

PREVIEW = "/api/hosting/curtailment/preview"
TRIGGER = "/api/hosting/curtailment/trigger"
Dict = dict[str, Any]
NewMiner = Callable[..., Awaitable[UUID]]
Wanted = Callable[..., Dict]


async def test_a_preview_shows_who_would_stop_and_why_others_would_not(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, published: Any
) -> None:
    worst = await new_miner(hashrate_ths=95, power_w=3250)
    good = await new_miner(hashrate_ths=270, power_w=3645)
    stale = await new_miner(age=timedelta(minutes=10))
    serviced = await new_miner(status="maintenance")
    stock = await new_miner(firmware="antminer", power_w=None)
    off = await new_miner(power_w=20.0)
    unseen = await new_miner(age=None)

    answer = await client.post(PREVIEW, json=wanted(0.003))

    assert answer.status_code == 200, answer.text
    shown = answer.json()
    candidates = {one["miner_id"]: one for one in shown["candidates"]}
    assert set(candidates) == {str(worst), str(good)}
    assert candidates[str(worst)]["selected"]
    assert not candidates[str(good)]["selected"]
    assert {one["miner_id"]: one["reason"] for one in shown["skipped"]} == {
        str(stale): "stale_telemetry",
        str(serviced): "maintenance",
        str(stock): "unsupported_firmware",
        str(off): "no_power",
        str(unseen): "no_telemetry",
    }
    assert shown["feasible"]
    assert shown["miners_affected"] == 1
    # A sleeping machine goes on burning 100 W, so that 3,250 W shed 3,150.
    assert shown["expected_reduction_mw"] == 0.00315
    assert shown["maximum_power_mw"] == 0.006695
    assert shown["hashrate_loss_ths"] == 95
    assert shown["method"] == "greedy_swap"
    assert shown["bound"] == 1.0
    assert shown["gap"] == 0.0
    for figure in ("avoided_cost", "sla_effect"):
        assert shown[figure]["value"] is None
        assert shown[figure]["reason"]
    assert await published() == []
    plans = await client.get("/api/hosting/curtailment")
    assert plans.json()["items"] == []


async def test_megawatts_are_a_million_watts(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    for _ in range(3):
        await new_miner()
    await client.post(PREVIEW, json=wanted(0.005))
    [question] = outside.asked
    assert question["target_power_w"] == pytest.approx(5_000 * 1.005)
    assert [miner["power_w"] for miner in question["miners"]] == [3400.0] * 3


@pytest.mark.parametrize("path", [PREVIEW, TRIGGER])
@pytest.mark.parametrize("megawatts", [0, -1, -0.000001, 0.0069, 7, 1e9])
async def test_a_target_beyond_the_site_names_the_maximum(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, path: str, megawatts: float
) -> None:
    await new_miner()
    await new_miner()
    refused = await client.post(path, json=wanted(megawatts))
    assert refused.status_code == 422, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "target_out_of_reach"
    assert refused.json()["maximum_power_mw"] == 0.0068
    assert refused.json()["field"] == "target_power_reduction_mw"


@pytest.mark.parametrize("path", [PREVIEW, TRIGGER])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target_power_reduction_mw": None}, "target_power_reduction_mw"),
        ({"target_power_reduction_mw": "much"}, "target_power_reduction_mw"),
        ({"target_power_reduction_mw": "NaN"}, "target_power_reduction_mw"),
        ({"target_power_reduction_mw": "Infinity"}, "target_power_reduction_mw"),
        ({"target_power_reduction_mw": "1e400"}, "target_power_reduction_mw"),
        ({"strategy": "by_taste"}, "strategy"),
        ({"objective": "glory"}, "objective"),
        ({"objective": "profit"}, "hashprice_usd_per_ths_day"),
        ({"objective": "profit", "usd_per_kwh": 0.06}, "hashprice_usd_per_ths_day"),
        ({"objective": "profit", "hashprice_usd_per_ths_day": 0.045}, "usd_per_kwh"),
        ({"duration_minutes": 0}, "duration_minutes"),
        ({"duration_minutes": 10**9}, "duration_minutes"),
        ({"site_id": "here"}, "site_id"),
        ({"target_power_mw": 3}, "target_power_mw"),
    ],
)
async def test_a_malformed_wish_is_refused(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    path: str,
    change: Dict,
    field: str,
) -> None:
    await new_miner()
    refused = await client.post(path, json=wanted(0.001) | change)
    assert refused.status_code == 422, refused.text
    assert refused.json()["field"] == field


async def test_stale_telemetry_only_is_shown_machine_by_machine(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted
) -> None:
    machines = [await new_miner(age=timedelta(hours=1)) for _ in range(3)]
    shown = await client.post(PREVIEW, json=wanted(0.003))
    assert shown.status_code == 200, shown.text
    assert not shown.json()["feasible"]
    assert shown.json()["maximum_power_mw"] == 0
    assert {one["miner_id"] for one in shown.json()["skipped"]} == {str(one) for one in machines}
    assert shown.json()["skipped_by_reason"] == {"stale_telemetry": 3}
    refused = await client.post(TRIGGER, json=wanted(0.003))
    assert refused.status_code == 422
    assert refused.json()["maximum_power_mw"] == 0
    assert refused.json()["skipped_by_reason"] == {"stale_telemetry": 3}


@pytest.mark.parametrize("path", [PREVIEW, TRIGGER])
@pytest.mark.parametrize("party", ["telemetry_away", "intelligence_away"])
async def test_without_the_other_services_nobody_guesses(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    outside: Any,
    path: str,
    party: str,
) -> None:
    await new_miner()
    setattr(outside, party, True)
    answer = await client.post(path, json=wanted(0.001))
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    plans = await client.get("/api/hosting/curtailment")
    assert plans.json()["total"] == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        {"rows": []},
        {"columns": {"miner_id": ["x"]}},
        {"columns": {"miner_id": [str(uuid4())], "power_w": []}},
        {"columns": {"miner_id": [str(uuid4())], "power_w": ["many"]}},
        {"columns": {"miner_id": [str(uuid4())], "sampled_at": ["yesterday"]}},
    ],
)
async def test_a_fleet_that_cannot_be_read_is_no_fleet(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any, nonsense: Any
) -> None:
    await new_miner()
    outside.nonsense = nonsense
    answer = await client.post(PREVIEW, json=wanted(0.001))
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "fleet_unknown"


async def test_a_recommendation_that_falls_short_is_not_used(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    await new_miner()
    outside.short = True
    answer = await client.post(TRIGGER, json=wanted(0.001))
    assert answer.status_code == 503
    assert answer.json()["code"] == "recommendation_unusable"


@pytest.mark.parametrize("answer", [{"status": 200}, {"status": 200, "shutdown": ["all"]}])
async def test_a_recommendation_that_cannot_be_read_is_none(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any, answer: Dict
) -> None:
    await new_miner()
    outside.refusal = answer
    refused = await client.post(TRIGGER, json=wanted(0.001))
    assert refused.status_code == 503
    assert refused.json()["code"] == "recommendation_unusable"


async def test_another_refusal_of_intelligence_is_passed_on(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    await new_miner()
    outside.refusal = {"status": 403, "detail": "not you", "code": "forbidden"}
    refused = await client.post(TRIGGER, json=wanted(0.001))
    assert refused.status_code == 403
    assert refused.json()["detail"] == "not you"


async def test_a_greedy_answer_after_a_solver_timeout_is_flagged(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    await new_miner()
    outside.method = "greedy_after_timeout"
    shown = await client.post(PREVIEW, json=wanted(0.001))
    assert shown.json()["method"] == "greedy_after_timeout"
    plan = (await client.post(TRIGGER, json=wanted(0.001))).json()
    assert plan["decision"]["method"] == "greedy_after_timeout"


async def test_what_intelligence_finds_out_of_reach_is_told_in_megawatts(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    await new_miner()
    outside.refusal = {"status": 422, "detail": "too much", "maximum_power_w": 2500.0}
    answer = await client.post(PREVIEW, json=wanted(0.003))
    assert answer.status_code == 422, answer.text
    assert answer.json()["maximum_power_mw"] == 0.0025


async def test_profit_is_asked_with_its_prices(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, outside: Any
) -> None:
    await new_miner()
    body = wanted(0.001, objective="profit", hashprice_usd_per_ths_day="0.045", usd_per_kwh="0.06")
    assert (await client.post(PREVIEW, json=body)).status_code == 200
    [question] = outside.asked
    assert question["objective"] == "profit"
    assert question["hashprice_usd_per_ths_day"] == 0.045
    assert question["miners"][0]["usd_per_kwh"] == 0.06


@pytest.mark.parametrize("path", [PREVIEW, TRIGGER])
async def test_a_site_of_somebody_else_does_not_exist(
    client_as: ClientFor, new_miner: NewMiner, wanted: Wanted, path: str
) -> None:
    await new_miner()
    stranger = client_as(organisation_id=uuid4())
    assert (await stranger.post(path, json=wanted(0.001))).status_code == 404


async def test_permissions_are_needed(client_as: ClientFor, wanted: Wanted, outside: Any) -> None:
    nobody = client_as(scopes=frozenset())
    reader = client_as(scopes=frozenset({"curtailment:read"}))
    assert (await nobody.post(PREVIEW, json=wanted(1))).status_code == 403
    assert (await reader.post(TRIGGER, json=wanted(1))).status_code == 403


@pytest.mark.parametrize(
    ("duration", "minutes", "btc", "usd"),
    [
        ({}, 1440, "0.00003800", "3.800000"),
        ({"duration_minutes": 90}, 90, "0.00000238", "0.237500"),
    ],
)
async def test_what_is_not_mined_is_told_by_the_quote(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    hear_quote: Callable[..., Awaitable[None]],
    duration: Dict,
    minutes: int,
    btc: str,
    usd: str,
) -> None:
    await new_miner(hashrate_ths=95, power_w=3250)
    await new_miner(hashrate_ths=270, power_w=3645)
    await hear_quote(age_s=120, simulated=True)
    shown = (await client.post(PREVIEW, json=wanted(0.003, **duration))).json()
    assert shown["hashrate_loss_ths"] == 95
    day = {"over_minutes": minutes, "reason": None}
    assert shown["lost_btc"] == day | {"value": btc, "per_day": "0.00003800"}
    assert shown["lost_revenue_usd"] == day | {"value": usd, "per_day": "3.800000"}
    assert shown["quote"]["simulated"]
    assert not shown["quote"]["stale"]
    assert 120 <= shown["quote"]["age_s"] < 180
    assert shown["avoided_cost"]["value"] is None


@pytest.mark.parametrize(
    ("duration", "minutes", "saved"),
    [({}, 1440, "3.780000"), ({"duration_minutes": 90}, 90, "0.236250")],
)
async def test_the_tariff_tells_what_is_saved(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    hear_tariff: Any,
    duration: Dict,
    minutes: int,
    saved: str,
) -> None:
    """3,250 W less the 100 W of a sleeping machine, at 0.05 USD per kWh."""
    await new_miner(hashrate_ths=95, power_w=3250)
    rate = await hear_tariff(mean_usd_per_kwh="0.05")
    shown = (await client.post(PREVIEW, json=wanted(0.003, **duration))).json()["avoided_cost"]
    assert (shown["value"], shown["per_day"]) == (saved, "3.780000")
    assert (shown["over_minutes"], shown["reason"]) == (minutes, None)
    assert (shown["tariff"]["rate_id"], shown["tariff"]["rate_version"]) == (rate, 3)


async def test_a_tariff_with_an_index_tells_no_saving(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted, hear_tariff: Any
) -> None:
    await new_miner()
    await hear_tariff(rate_type="index", mean_usd_per_kwh=None)
    shown = (await client.post(PREVIEW, json=wanted(0.003))).json()["avoided_cost"]
    assert (shown["value"], shown["tariff"], shown["reason"]) == (None, None, "tariff_varies")


@pytest.mark.usefixtures("hear_quote")
async def test_without_a_quote_the_loss_is_not_known(
    client: httpx.AsyncClient, new_miner: NewMiner, wanted: Wanted
) -> None:
    await new_miner()
    answer = await client.post(PREVIEW, json=wanted(0.003, duration_minutes=60))
    assert answer.status_code == 200, answer.text
    unknown = {"value": None, "per_day": None, "over_minutes": 60, "reason": "no_quote"}
    assert answer.json()["lost_btc"] == answer.json()["lost_revenue_usd"] == unknown
    assert answer.json()["quote"] is None


async def test_where_nothing_can_be_stopped_nothing_is_lost(
    client: httpx.AsyncClient,
    new_miner: NewMiner,
    wanted: Wanted,
    hear_quote: Callable[..., Awaitable[None]],
) -> None:
    await new_miner(age=timedelta(hours=1))
    await hear_quote()
    shown = (await client.post(PREVIEW, json=wanted(0.003))).json()
    assert not shown["feasible"]
    assert shown["lost_btc"]["value"] == "0.00000000"
