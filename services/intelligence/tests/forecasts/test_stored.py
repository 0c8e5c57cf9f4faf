"""Fitting on schedule, serving from storage, and what the other features read."""

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from httpx import AsyncClient

from common.app import Service
from common.auth import PLATFORM_ORGANISATION
from common.clock import now
from common.runtime import Runtime
from common.testing import ALL_SCOPES, ClientFor
from intelligence.domain.forecast import logs_of, no_change
from intelligence.forecasts import schedule
from intelligence.forecasts.fitting import FittingProcess
from intelligence.forecasts.reading import latest

PRICE = "/api/intelligence/forecasts/btc-price"
DIFFICULTY = "/api/intelligence/forecasts/difficulty"
FITTED = "intelligence.forecast.fitted.v1"
Closes = Callable[..., list[float]]
Store = Callable[..., Awaitable[None]]
Published = Callable[..., Awaitable[list[dict[str, Any]]]]


async def test_a_stored_price_forecast_is_served_with_its_age(
    reader: AsyncClient,
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
) -> None:
    prices = closes(200)
    await store_closes(prices)
    early = await reader.get(PRICE)
    assert (early.status_code, early.json()["code"]) == (503, "not_fitted_yet")
    assert early.headers["Retry-After"] == "60"
    assert await schedule.fit_price(runtime, process) == 1
    body = (await reader.get(PRICE)).json()
    today = datetime.combine(now().date(), time.min, UTC)
    assert body["origin"] == {"at": f"{today:%Y-%m-%dT%H:%M:%SZ}", "value": prices[-1]}
    assert (body["horizon"], len(body["predictions"]), body["unit"]) == (30, 30, "USD")
    assert body["predictions"][0]["at"] == f"{today + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert 0 <= body["age_s"] < 60
    assert body["warnings"] == []
    assert [row["horizon"] for row in body["accuracy"]] == [1, 7, 14, 30]
    assert len((await reader.get(PRICE, params={"days": 365})).json()["predictions"]) == 365
    assert (await reader.get(PRICE, params={"days": 3})).json()["coverage"]["horizon"] == 1


async def test_it_is_fitted_again_only_when_more_is_known(
    runtime: Runtime, process: FittingProcess, closes: Closes, store_closes: Store
) -> None:
    prices = closes(91)
    await store_closes(prices[:60], last_days_ago=2, simulated=True)
    assert await schedule.fit_price(runtime, process) == 1
    assert await schedule.fit_price(runtime, process) == 0
    await store_closes(prices[1:61])
    assert await schedule.fit_price(runtime, process) == 1  # a new day
    async with runtime.worker_session() as session:
        found = await latest(session, "btc-price")
    assert found is not None
    assert found.origin_price == prices[60]


async def test_real_closes_that_replace_simulated_ones_are_fitted_at_once(
    runtime: Runtime,
    process: FittingProcess,
    reader: AsyncClient,
    closes: Closes,
    store_closes: Store,
) -> None:
    await store_closes(closes(70), simulated=True)
    await schedule.fit_price(runtime, process)
    assert (await reader.get(PRICE)).json()["simulated"] is True
    await store_closes(closes(70, seed=2))
    assert await schedule.fit_price(runtime, process) == 1
    assert (await reader.get(PRICE)).json()["simulated"] is False


async def test_a_fit_is_published_once(
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
    published: Published,
) -> None:
    await store_closes(closes(90))
    await schedule.fit_price(runtime, process)
    await schedule.fit_price(runtime, process)
    [event] = await published(FITTED, PLATFORM_ORGANISATION)
    data = event["data"]
    assert (event["topic"], event["key"]) == ("intelligence.forecast.v1", "btc-price")
    assert (data["series"], data["horizon"], data["step_s"]) == ("btc-price", 365, 86_400)
    assert len(data["points"]["lower_95"]) == len(data["baseline"]["predicted"]) == 365
    assert data["site_id"] is None


async def test_with_fewer_than_60_stored_closes_it_is_422(
    reader: AsyncClient,
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
) -> None:
    await store_closes(closes(59))
    await schedule.refresh(runtime, process)
    answer = await reader.get(PRICE)
    assert (answer.status_code, answer.json()["code"]) == (422, "too_few_points")
    assert answer.json()["points"] == 59


async def test_60_stored_closes_are_answered_with_a_warning(
    reader: AsyncClient,
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
) -> None:
    await store_closes(closes(60))
    await schedule.fit_price(runtime, process)
    assert "Only 60 points" in (await reader.get(PRICE)).json()["warnings"][0]


async def test_missing_days_are_filled_and_old_data_are_said(
    reader: AsyncClient,
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
) -> None:
    await store_closes(closes(100), last_days_ago=10, left_out=(20, 21))
    await schedule.fit_price(runtime, process)
    filled, old = (await reader.get(PRICE)).json()["warnings"]
    assert filled == "2 missing days were filled with the close before."
    assert re.fullmatch(r"Its data are \d+ hours old: nothing newer has come.", old)


async def test_the_treasury_reads_the_latest_band_and_its_five_percent_price(
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
    organisation: Any,
) -> None:
    prices = closes(120)
    await store_closes(prices)
    async with runtime.tenant_session(organisation) as session:
        assert await latest(session, "btc-price") is None
    await schedule.fit_price(runtime, process)
    async with runtime.tenant_session(organisation) as session:
        found = await latest(session, "btc-price")
    assert found is not None
    assert (found.horizon, found.origin_price) == (365, prices[-1])
    assert found.coverage[0].horizon == 1
    five = found.quantile(30, 0.05)
    assert found.lower_95[29] < five < found.lower_80[29] < found.predicted[29]
    assert found.quantile(30, 0.5) == pytest.approx(found.predicted[29])
    assert found.quantile(30, 0.975) == pytest.approx(found.upper_95[29])
    closed = no_change(logs_of(prices[-90:]), 30)
    assert five == pytest.approx(float(closed.quantile(0.05)[29]), rel=0.15)


async def test_the_difficulty_of_the_next_epochs(
    reader: AsyncClient, runtime: Runtime, store_epochs: Store, published: Published
) -> None:
    await store_epochs([1e14 * 1.01**place for place in range(80)])
    assert (await reader.get(DIFFICULTY)).json()["code"] == "not_fitted_yet"
    assert await schedule.fit_difficulty(runtime) == 1
    assert await schedule.fit_difficulty(runtime) == 0
    body = (await reader.get(DIFFICULTY)).json()
    assert (body["horizon"], body["step"], body["unit"]) == (6, "epoch", "difficulty")
    assert "drift" in body["method"]
    assert body["simulated"] is True
    assert body["predictions"][0]["predicted"] == pytest.approx(1e14 * 1.01**80)
    first, second = (datetime.fromisoformat(one["at"]) for one in body["predictions"][:2])
    assert (second - first).total_seconds() == pytest.approx(14 * 86_400, abs=2)
    assert [row["horizon"] for row in body["accuracy"]] == [1, 2, 4]
    assert body["accuracy"][0]["model"]["mae"] < body["accuracy"][0]["baseline"]["mae"]
    [event] = await published(FITTED, PLATFORM_ORGANISATION)
    assert event["key"] == "difficulty"


async def test_epochs_before_a_hole_are_left_out_and_too_few_are_422(
    reader: AsyncClient, runtime: Runtime, store_epochs: Store
) -> None:
    await store_epochs([1e14] * 10)
    await store_epochs([1e14] * 13, first_height=12 * 2016)
    answer = await reader.get(DIFFICULTY)
    assert (answer.status_code, answer.json()["points"]) == (422, 13)


@pytest.mark.parametrize("epochs", [0, 27, -1])
async def test_epochs_out_of_range_are_refused(reader: AsyncClient, epochs: int) -> None:
    answer = await reader.get(DIFFICULTY, params={"epochs": epochs})
    assert (answer.status_code, answer.json()["field"]) == (422, "epochs")


@pytest.mark.parametrize("series", ["btc-price", "difficulty", "site-load", "../insights"])
async def test_without_the_permission_nothing_is_shown(client_as: ClientFor, series: str) -> None:
    bare = client_as(scopes=ALL_SCOPES - {"forecasts:read", "insights:read"})
    assert (await bare.get(f"/api/intelligence/forecasts/{series}")).status_code == 403


async def test_everybody_reads_the_platforms_forecasts(
    client_as: ClientFor,
    runtime: Runtime,
    process: FittingProcess,
    closes: Closes,
    store_closes: Store,
    organisation: Any,
) -> None:
    await store_closes(closes(90))
    await schedule.fit_price(runtime, process)
    customer = client_as(client_id=organisation, scopes={"forecasts:read"})
    assert (await customer.get(PRICE)).status_code == 200


async def test_the_schedule_runs_as_background_work(
    service: Service, runtime: Runtime, process: FittingProcess, closes: Closes, store_closes: Store
) -> None:
    assert schedule.keep_forecasts in service.background
    await store_closes(closes(90))
    assert await schedule.refresh(runtime, process) >= 1
