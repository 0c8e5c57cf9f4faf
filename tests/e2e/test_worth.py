"""What the market's world adds: quotes, candles, indicators, a forecast, a treasury's proposal."""

import httpx
import pytest
from tests.running import Json, System, eventually

from launcher.api import RefusedError
from launcher.treasury import seed_treasury

pytestmark = pytest.mark.e2e


def test_everybody_may_calculate_and_sees_how_old_the_quote_is(system: System) -> None:
    body = {"model": "Antminer S21", "electricity_usd_per_kwh": 0.06}
    with httpx.Client(base_url=system.url, trust_env=False, timeout=30) as anonymous:
        answer = anonymous.post("/api/calculator/calculate", json=body)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        given = {**body, "btc_price_usd": 100_000, "difficulty": 1e14, "subsidy_btc": 3.125}
        by_hand = anonymous.post("/api/calculator/calculate", json=given).json()
        assert anonymous.get("/api/calculator/history").status_code == 401
    price = shown["inputs"]["btc_price_usd"]
    assert price["source"] == "manual"  # no source of quotes is asked by a test
    assert price["stale"]
    assert price["age_s"] > 86_400
    assert shown["revenue_usd_per_day"] == pytest.approx(
        shown["btc_per_day"] * price["value"], rel=1e-6
    )
    # 200 TH/s x 86,400 s / (1e14 x 2^32) x 3.125
    assert by_hand["btc_per_day"] == pytest.approx(
        200e12 * 86_400 / (1e14 * 2**32) * 3.125, rel=1e-6
    )


def test_the_quote_reaches_the_machines(system: System) -> None:
    """From the calculator's event to what a fleet, a machine and a reduction are worth."""
    host = system.api("host")

    def is_worth_something() -> Json | None:
        tiles = host.get("/api/hosting/kpi")
        return tiles if tiles["expected"]["revenue_usd_per_day"] else None

    tiles = eventually(is_worth_something, "the quote is known to hosting")
    assert tiles["expected"]["stale"]
    system.fleet_hashes()  # a preview chooses among machines that have been read
    assert tiles["expected"]["reason"] == "no_tariff"
    preview = host.post("/api/hosting/curtailment/preview", system.wish(0.05))
    assert float(preview["lost_btc"]["value"]) > 0


def test_candles_become_indicators_a_forecast_and_a_proposal(system: System) -> None:
    owner = system.api("owner")
    seed_treasury(system.stack.installation)  # waits for the candles of the simulated exchanges

    shown = owner.get("/api/analytics/price")
    assert shown["simulated"]
    assert {venue["venue"] for venue in shown["venues"]} == {"binance", "okx", "deribit", "bybit"}

    def has_indicators() -> Json | None:
        found = owner.get("/api/analytics/indicators", interval="1d", limit=5)
        return found if None not in found["rsi"] else None

    indicators = eventually(has_indicators, "there are indicators")
    assert all(0 <= value <= 100 for value in indicators["rsi"])

    def has_forecast() -> Json | None:
        try:
            return owner.get("/api/intelligence/forecasts/btc-price", days=30)
        except RefusedError as refusal:
            if refusal.code != "not_fitted_yet":
                raise
            return None

    forecast = eventually(has_forecast, "a forecast is fitted")
    assert len(forecast["predictions"]) == 30
    for point in forecast["predictions"]:
        assert point["lower_95"] < point["lower_80"] < point["upper_80"] < point["upper_95"]

    [proposal] = owner.get("/api/treasury/proposals")["items"]
    assert float(proposal["btc"]) > 0
    assert proposal["price"]["stale"]
    holdings = owner.get("/api/treasury/lots/summary")
    assert holdings["lots"] == 5
    assert float(owner.get("/api/treasury/runway")["days_at_market"]) > 0


def test_ninety_points_in_thirty_predictions_out(system: System) -> None:
    owner = system.api("owner")
    points = [90_000 + 400 * (day % 7) + 30 * day for day in range(90)]
    answer = owner.post("/api/intelligence/forecasts/btc-price", {"points": points, "days": 30})
    assert len(answer["predictions"]) == 30
    assert all(point["lower_95"] < point["upper_95"] for point in answer["predictions"])
