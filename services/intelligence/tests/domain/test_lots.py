from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intelligence.domain.lots import (
    CostBasis,
    Holding,
    NotEnough,
    WrongLots,
    average_cost_usd,
    held_btc,
    held_cost_usd,
    money,
    realised_usd,
    sell,
    worth,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
D = Decimal


def lots(*pairs: tuple[str, str]) -> list[Holding]:
    """Holdings of (btc, price), a day apart."""
    return [
        Holding(UUID(int=n), START + timedelta(days=n), D(btc), worth(D(btc), D(price)))
        for n, (btc, price) in enumerate(pairs, start=1)
    ]


def test_fifo_is_the_hand_example() -> None:
    """1 BTC at 10,000, 2 at 20,000, 1 at 30,000; sell 2.5: cost 10,000 + 1.5 x 20,000 = 40,000."""
    sale = sell(lots(("1", "10000"), ("2", "20000"), ("1", "30000")), D("2.5"), CostBasis.FIFO)
    assert sale.cost_usd == 40_000
    assert [(one.btc, one.cost_usd) for one in sale.taken] == [(D(1), D(10000)), (D("1.5"), 30000)]
    assert [(one.btc, one.cost_usd) for one in sale.left] == [(0, 0), (D("0.5"), 10000), (1, 30000)]
    assert realised_usd(worth(D("2.5"), D(25000)), D("62.5"), sale.cost_usd) == D("22437.5")


def test_average_is_the_hand_example() -> None:
    """The same four bitcoin cost 80,000 together: 2.5 of them 50,000, the rest 20,000 each."""
    sale = sell(lots(("1", "10000"), ("2", "20000"), ("1", "30000")), D("2.5"), CostBasis.AVERAGE)
    assert sale.cost_usd == 50_000
    assert [one.cost_usd for one in sale.left] == [0, 10000, 20000]
    assert average_cost_usd(sale.left) == 20_000


def test_specific_lots_are_the_sellers_choice() -> None:
    held = lots(("1", "10000"), ("2", "20000"), ("1", "30000"))
    sale = sell(held, D("1.5"), CostBasis.SPECIFIC, {UUID(int=3): D(1), UUID(int=2): D("0.5")})
    assert sale.cost_usd == 40_000
    assert [one.btc for one in sale.left] == [1, D("1.5"), 0]


@pytest.mark.parametrize(
    ("method", "chosen"),
    [
        (CostBasis.SPECIFIC, {}),
        (CostBasis.SPECIFIC, {UUID(int=9): D(1)}),
        (CostBasis.SPECIFIC, {UUID(int=1): D("0.5")}),
        (CostBasis.FIFO, {UUID(int=1): D(1)}),
    ],
)
def test_lots_that_do_not_make_up_the_sale_are_refused(
    method: CostBasis, chosen: dict[UUID, Decimal]
) -> None:
    with pytest.raises(WrongLots):
        sell(lots(("1", "10000"), ("1", "20000")), D(1), method, chosen)


@pytest.mark.parametrize("method", CostBasis)
def test_no_more_can_be_sold_than_is_held(method: CostBasis) -> None:
    with pytest.raises(NotEnough):
        sell(lots(("1", "10000")), D("1.00000001"), method, {UUID(int=1): D("1.00000001")})


def test_no_more_can_be_taken_from_a_lot_than_it_holds() -> None:
    with pytest.raises(NotEnough):
        sell(lots(("1", "1"), ("1", "1")), D(2), CostBasis.SPECIFIC, {UUID(int=1): D(2)})


def test_rounding_is_half_up() -> None:
    assert money(D("0.0000005")) == D("0.000001")
    assert money(D("2.0000025")) == D("2.000003")  # half even would say 2.000002
    assert worth(D("0.00000001"), D("50")) == D("0.000001")


def test_products_are_exact_beyond_28_digits() -> None:
    total = worth(D("20999999.99999999"), D("999999999.999999"))
    assert total == D("20999999999999969.000000")


AMOUNT = st.decimals("0.00000001", "1000", places=8)
PRICE = st.decimals("0.01", "200000", places=2)


@given(
    st.lists(st.tuples(AMOUNT, PRICE), min_size=1, max_size=8),
    st.lists(st.tuples(st.sampled_from(CostBasis), st.integers(1, 1000)), min_size=1, max_size=8),
)
def test_what_is_sold_and_what_is_left_is_always_what_came_in(
    received: list[tuple[Decimal, Decimal]], sales: list[tuple[CostBasis, int]]
) -> None:
    held = lots(*[(str(btc), str(price)) for btc, price in received])
    btc_in, cost_in = held_btc(held), held_cost_usd(held)
    btc_out = cost_out = D(0)
    for method, permille in sales:
        btc = (held_btc(held) * permille / 1000).quantize(D("0.00000001"), rounding="ROUND_DOWN")
        if btc == 0:
            continue
        chosen: dict[UUID, Decimal] = {}
        missing = btc
        by_hand = held[::-1] if method is CostBasis.SPECIFIC else held[:0]
        for one in by_hand:
            give = min(one.btc, missing)
            chosen |= {one.lot_id: give} if give else {}
            missing -= give
        sale = sell(held, btc, method, chosen)
        assert sum(one.btc for one in sale.taken) == btc
        held = list(sale.left)
        btc_out, cost_out = btc_out + btc, cost_out + sale.cost_usd
        assert all(one.btc >= 0 and one.cost_usd >= 0 for one in held)
        assert all(one.cost_usd == 0 for one in held if one.btc == 0)
    assert held_btc(held) + btc_out == btc_in
    assert held_cost_usd(held) + cost_out == cost_in
