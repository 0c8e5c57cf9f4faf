"""Worked examples by hand, and what holds for every machine."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calculator.domain.profitability import (
    Column,
    Profitability,
    Scenarios,
    gross_btc_per_day,
    profitability,
    share_btc_per_day,
)

DIFFICULTY_OF_600_EH = 600e18 * 600 / 2**32
"""At which 600 EH/s find a block every ten minutes."""


def column(*values: float) -> Column:
    return np.array(values, dtype=np.float64)


def scenarios(**changes: Column) -> Scenarios:
    columns = {
        "hashrate_ths": column(110),
        "power_w": column(3250),
        "electricity_usd_per_kwh": column(0.05),
        "btc_price_usd": column(60_000),
        "difficulty": column(DIFFICULTY_OF_600_EH),
        "reward_btc": column(3.125),
        "pool_fee": column(0),
        "uptime": column(1),
        "stale": column(0),
        "other_opex_usd_per_day": column(0),
        "capex_usd": column(np.nan),
    }
    return Scenarios(**(columns | changes))


def one(found: Profitability, name: str) -> float:
    return float(getattr(found, name)[0])


def test_a_share_of_the_network_earns_its_share_of_the_blocks() -> None:
    """600 TH/s of 600 EH/s are a millionth: 144 blocks * 3.125 BTC / 10^6."""
    found = profitability(scenarios(hashrate_ths=column(600)))
    assert one(found, "btc_per_day") == pytest.approx(144 * 3.125e-6, rel=1e-12)


def test_the_worked_example_of_an_s19_pro() -> None:
    """110 TH/s, 3,250 W at 0.05 USD/kWh, D = 80 T, 3.125 BTC, 60,000 USD; by pocket calculator."""
    found = profitability(scenarios(difficulty=column(80e12), capex_usd=column(2_500)))
    btc = 110e12 * 86_400 / (80e12 * 4_294_967_296) * 3.125  # 8.643837...e-5
    assert btc == pytest.approx(8.6438376e-5, rel=1e-8)
    assert one(found, "btc_per_day") == pytest.approx(btc, rel=1e-12)
    assert one(found, "revenue_usd_per_day") == pytest.approx(5.1863026, rel=1e-7)
    assert one(found, "energy_kwh_per_day") == 78
    assert one(found, "cost_usd_per_day") == pytest.approx(3.9, rel=1e-12)
    assert one(found, "profit_usd_per_day") == pytest.approx(1.2863026, rel=1e-6)
    assert one(found, "margin_percent") == pytest.approx(24.8019189, rel=1e-6)
    assert one(found, "break_even_usd_per_kwh") == pytest.approx(0.0664910, rel=1e-5)
    assert one(found, "break_even_btc_price_usd") == pytest.approx(45_118.848, rel=1e-7)
    assert one(found, "break_even_days") == pytest.approx(1_943.555, rel=1e-6)
    assert one(found, "roi_percent_per_year") == pytest.approx(18.780018, rel=1e-6)


def test_fee_stale_shares_and_downtime_multiply() -> None:
    whole = profitability(scenarios())
    less = profitability(scenarios(pool_fee=column(0.02), stale=column(0.01), uptime=column(0.95)))
    factor = 0.98 * 0.99 * 0.95
    assert one(less, "btc_per_day") == pytest.approx(one(whole, "btc_per_day") * factor)
    assert one(less, "energy_kwh_per_day") == pytest.approx(78 * 0.95)


def test_other_opex_is_a_cost_and_lowers_the_break_even_tariff() -> None:
    found = profitability(scenarios(other_opex_usd_per_day=column(1)))
    assert one(found, "cost_usd_per_day") == pytest.approx(4.9)
    revenue = one(found, "revenue_usd_per_day")
    assert one(found, "break_even_usd_per_kwh") == pytest.approx((revenue - 1) / 78)


def test_free_electricity_breaks_even_at_any_price() -> None:
    found = profitability(scenarios(electricity_usd_per_kwh=column(0)))
    assert one(found, "break_even_btc_price_usd") == 0
    assert one(found, "margin_percent") == 100


def test_what_is_not_defined_is_no_number() -> None:
    found = profitability(scenarios(uptime=column(0)))
    for name in ("margin_percent", "break_even_usd_per_kwh", "break_even_btc_price_usd"):
        assert not math.isfinite(one(found, name))
    assert not math.isfinite(one(found, "break_even_days"))


def test_a_loss_never_pays_back() -> None:
    found = profitability(scenarios(electricity_usd_per_kwh=column(1), capex_usd=column(2_500)))
    assert one(found, "profit_usd_per_day") < 0
    assert not math.isfinite(one(found, "break_even_days"))
    assert one(found, "roi_percent_per_year") < 0


def test_both_algorithms_agree_at_the_implied_hashrate() -> None:
    hashrate, reward = column(13.5, 110, 580), column(3.2, 3.2, 3.2)
    first = gross_btc_per_day(hashrate, np.full(3, DIFFICULTY_OF_600_EH), reward)
    second = share_btc_per_day(hashrate, np.full(3, 600.0), reward)
    assert first == pytest.approx(second, rel=1e-12)


def test_columns_and_single_values_mix_and_chunks_join() -> None:
    length = 20_001  # more than two chunks
    price = np.linspace(20_000, 200_000, length)
    found = profitability(scenarios(btc_price_usd=price))
    assert len(found.btc_per_day) == length
    btc = one(found, "btc_per_day")
    assert found.revenue_usd_per_day == pytest.approx(btc * price, rel=1e-12)


@given(
    hashrate=st.floats(0.001, 1e6),
    power=st.floats(0.001, 1e6),
    tariff=st.floats(0, 5),
    price=st.floats(1, 1e7),
    fee=st.floats(0, 0.99),
    uptime=st.floats(0.01, 1),
)
def test_at_both_break_evens_the_profit_is_nil(
    hashrate: float, power: float, tariff: float, price: float, fee: float, uptime: float
) -> None:
    rows = {
        "hashrate_ths": column(hashrate),
        "power_w": column(power),
        "pool_fee": column(fee),
        "uptime": column(uptime),
    }
    paying = {"electricity_usd_per_kwh": column(tariff), "btc_price_usd": column(price)}
    found = profitability(scenarios(**rows, **paying))
    at_tariff = profitability(
        scenarios(
            **rows,
            btc_price_usd=column(price),
            electricity_usd_per_kwh=found.break_even_usd_per_kwh,
        )
    )
    at_price = profitability(
        scenarios(
            **rows,
            electricity_usd_per_kwh=column(tariff),
            btc_price_usd=found.break_even_btc_price_usd,
        )
    )
    for there in (at_tariff, at_price):
        assert abs(one(there, "profit_usd_per_day")) <= 1e-9 * max(
            1e-9, one(there, "revenue_usd_per_day")
        )
