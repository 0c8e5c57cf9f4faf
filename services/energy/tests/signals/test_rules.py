"""The rule of a signal, in plain numbers."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from energy.domain.signalling import State, break_even, decide

PRICES = st.decimals(min_value=-1, max_value=2, places=6)
WORTHS = st.decimals(min_value=0, max_value=1, places=6)
PERCENTS = st.decimals(min_value=0, max_value=50, places=2)


def test_a_machine_breaks_even_where_its_day_pays_for_its_power() -> None:
    # 100 TH/s at 3,050 W and 0.05 USD per TH/s and day: 5 USD for 73.2 kWh.
    worth = break_even(Decimal("0.05"), Decimal(100), Decimal(3050))
    assert worth.quantize(Decimal("0.000000001")) == Decimal("0.068306011")
    assert worth * Decimal("73.2") == Decimal(5)


def test_hysteresis_keeps_a_price_near_break_even_from_switching() -> None:
    worth, five = Decimal("0.10"), Decimal(5)
    state: State | None = None
    said: list[State] = []
    for price in ("0.100", "0.104", "0.105", "0.1051", "0.101", "0.095", "0.0949", "0.104", "0.2"):
        state = decide(state, Decimal(price), worth, five)
        said.append(state)
    assert said == ["run", "run", "run", "stop", "stop", "stop", "run", "run", "stop"]


def test_power_that_is_paid_for_is_always_taken() -> None:
    for before in (None, "run", "stop"):
        assert decide(before, Decimal("-0.01"), Decimal("0.05"), Decimal(5)) == "run"


@given(PRICES, WORTHS, PERCENTS, st.sampled_from(["run", "stop"]))
def test_the_same_price_twice_changes_nothing(
    price: Decimal, worth: Decimal, percent: Decimal, before: State
) -> None:
    once = decide(before, price, worth, percent)
    assert decide(once, price, worth, percent) == once


@given(PRICES, WORTHS, PERCENTS)
def test_a_change_takes_twice_the_margin(price: Decimal, worth: Decimal, percent: Decimal) -> None:
    stopped = decide("run", price, worth, percent) == "stop"
    started = decide("stop", price, worth, percent) == "run"
    assert not (stopped and started)
    if stopped:
        assert price > worth
    if started:
        assert price < worth
