"""One machine, priced by a tariff."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.ids import new_id

Json = dict[str, Any]
HearTariff = Callable[..., Awaitable[str]]
PATH = "/api/calculator/calculate"
KWH = 3.25 * 24


async def found(client: AsyncClient, body: Json) -> Json:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refused(client: AsyncClient, body: Json) -> tuple[str, str]:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 422, answer.text
    assert "electricity_usd_per_kwh" in answer.json()["detail"]
    return answer.json()["code"], answer.json()["field"]


async def test_a_tariffs_mean_price_is_taken_and_said(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    rate = await hear_tariff(at=now() - timedelta(hours=1))
    shown = await found(planner, unpriced | {"rate_id": rate})
    assert shown["electricity_usd_per_day"] == pytest.approx(KWH * 0.0712)
    electricity = shown["inputs"]["electricity_usd_per_kwh"]
    assert (electricity["value"], electricity["source"]) == (0.0712, "tariff_mean")
    assert 3600 <= electricity["age_s"] < 3700
    assert not electricity["stale"]
    said = {name: shown["inputs"][name] for name in ("rate_id", "rate_name", "rate_version")}
    assert {name: one["value"] for name, one in said.items()} == {
        "rate_id": rate,
        "rate_name": "Night and day",
        "rate_version": 3,
    }
    assert any("demand charges" in warning for warning in shown["warnings"])


async def test_a_site_has_its_own_rate_or_the_organisations(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    here, elsewhere = str(new_id()), str(new_id())
    await hear_tariff(mean_usd_per_kwh="0.09", name="Default")
    await hear_tariff(mean_usd_per_kwh="0.05", site_id=here, active=False)
    assert (await found(planner, unpriced | {"site_id": here}))["inputs"]["rate_name"][
        "value"
    ] == "Default"
    await hear_tariff(mean_usd_per_kwh="0.06", site_id=here, name="Here")
    for site, price in ((here, 0.06), (elsewhere, 0.09)):
        shown = await found(planner, unpriced | {"site_id": site})
        assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == price


async def test_which_sites_a_location_has_is_not_guessed(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    here = str(new_id())
    await hear_tariff(name="Default")
    rate = await hear_tariff(location="Texas", mean_usd_per_kwh="0.04")
    assert await refused(planner, unpriced | {"site_id": here}) == ("rate_unknown", "site_id")
    shown = await found(planner, unpriced | {"rate_id": rate})
    assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == 0.04


async def test_of_two_that_say_they_are_active_the_newest_counts(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    """Two rates are two keys: their news may come in either order."""
    here = str(new_id())
    await hear_tariff(site_id=here, name="New")
    await hear_tariff(site_id=here, name="Old", at=now() - timedelta(minutes=1))
    shown = await found(planner, unpriced | {"site_id": here})
    assert shown["inputs"]["rate_name"]["value"] == "New"


async def test_old_news_changes_nothing_and_a_removed_rate_is_gone(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    rate = await hear_tariff(version=5, mean_usd_per_kwh="0.05")
    await hear_tariff(version=4, rate_id=rate, mean_usd_per_kwh="0.04")
    shown = await found(planner, unpriced | {"rate_id": rate})
    assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == 0.05
    await hear_tariff(version=6, rate_id=rate, active=False, removed=True)
    assert await refused(planner, unpriced | {"rate_id": rate}) == ("rate_unknown", "rate_id")
    await hear_tariff(version=5, rate_id=rate)
    assert await refused(planner, unpriced | {"rate_id": rate}) == ("rate_unknown", "rate_id")


async def test_a_tariff_without_one_price_is_refused(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    rate = await hear_tariff(rate_type="index", mean_usd_per_kwh=None)
    assert await refused(planner, unpriced | {"rate_id": rate}) == ("rate_varies", "rate_id")


async def test_a_tariff_in_another_currency_needs_its_rate(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    asked = unpriced | {"rate_id": await hear_tariff(currency="EUR", mean_usd_per_kwh="0.10")}
    unclear = ("currency_unknown", "usd_per_currency")
    assert await refused(planner, asked) == unclear
    pounds = {"currency": "GBP", "usd_per_currency": 1.25}
    assert await refused(planner, asked | pounds) == unclear
    shown = await found(planner, asked | {"currency": "EUR", "usd_per_currency": 1.1})
    assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == pytest.approx(0.11)
    assert shown["converted"]["cost_per_day"] == pytest.approx(KWH * 0.10)


async def test_a_mean_of_a_week_gone_by_is_stale_unless_the_price_is_flat(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    long_ago = now() - timedelta(days=8)
    for rate_type, stale in (("tou", True), ("flat", False)):
        rate = await hear_tariff(rate_type=rate_type, at=long_ago)
        shown = await found(planner, unpriced | {"rate_id": rate})
        assert shown["inputs"]["electricity_usd_per_kwh"]["stale"] is stale


async def test_tariffs_are_an_operators_own(
    anonymous: AsyncClient,
    user: AsyncClient,
    unpriced: Json,
    hear_tariff: HearTariff,
    client_as: Callable[..., AsyncClient],
) -> None:
    """Neither another operator, nor a client, nor who may not read tariffs, nor the public."""
    asked = unpriced | {"rate_id": await hear_tariff()}
    customer = client_as(client_id=new_id(), scopes=frozenset({"calculations:run", "tariffs:read"}))
    for caller in (anonymous, user, customer, client_as(organisation_id=new_id())):
        assert await refused(caller, asked) == ("rate_unknown", "rate_id")


async def test_the_public_never_sees_what_the_platform_pays(
    anonymous: AsyncClient, unpriced: Json, hear_tariff: HearTariff, deliver: Any
) -> None:
    rate = str(new_id())
    said = {"rate_id": rate, "active": True, "changed_at": now(), "mean_usd_per_kwh": "0.03"}
    await deliver("energy.tariff.changed.v1", said, organisation_id=PLATFORM_ORGANISATION)
    assert await refused(anonymous, unpriced | {"rate_id": rate}) == ("rate_unknown", "rate_id")


@pytest.mark.parametrize("mean", ["NaN", "Infinity", "1e400", "cheap"])
async def test_a_mean_that_is_no_number_is_not_kept(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff, mean: str
) -> None:
    rate = await hear_tariff(mean_usd_per_kwh="0.05")
    await hear_tariff(version=2, rate_id=rate, mean_usd_per_kwh=mean)
    shown = await found(planner, unpriced | {"rate_id": rate})
    assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == 0.05


async def test_fields_that_are_new_or_missing_do_no_harm(
    planner: AsyncClient, unpriced: Json, deliver: Any
) -> None:
    rate = str(new_id())
    said = {"rate_id": rate, "active": True, "changed_at": now(), "mean_usd_per_kwh": 0.03}
    await deliver("energy.tariff.changed.v1", said | {"colour": "green"})
    shown = await found(planner, unpriced | {"rate_id": rate})
    assert shown["inputs"]["electricity_usd_per_kwh"]["value"] == 0.03


async def test_a_projection_is_priced_alike(
    planner: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    asked = unpriced | {"rate_id": await hear_tariff(), "days": 10}
    answer = await planner.post("/api/calculator/projection", json=asked)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["cost_usd"] == pytest.approx(10 * KWH * 0.0712)
    assert shown["inputs"]["rate_version"]["value"] == 3
    assert any("demand charges" in warning for warning in shown["warnings"])
    grid = await planner.post("/api/calculator/projection/sensitivity", json=asked)
    assert grid.status_code == 200, grid.text


async def test_again_means_by_the_tariff_of_today_and_a_link_does_not_name_it(
    planner: AsyncClient, anonymous: AsyncClient, unpriced: Json, hear_tariff: HearTariff
) -> None:
    rate = await hear_tariff()
    entry = (await found(planner, unpriced | {"rate_id": rate}))["id"]
    await hear_tariff(version=2, rate_id=rate, mean_usd_per_kwh="0.0812", rate_version=4)
    again = await planner.post(f"/api/calculator/history/{entry}/rerun")
    assert again.status_code == 201, again.text
    assert again.json()["comparison"]["inputs"]["electricity_usd_per_kwh"]["second"] == 0.0812
    link = (await planner.post(f"/api/calculator/history/{entry}/share")).json()
    shown = await anonymous.get(link["path"])
    assert shown.status_code == 200
    private = {"rate_id", "rate_name", "rate_version"}
    assert not private & {*shown.json()["request"], *shown.json()["result"]["inputs"]}
    assert "Night and day" not in shown.text
