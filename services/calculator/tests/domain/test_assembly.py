"""Whose figure counts, when it is stale, and what contradicts it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from calculator.domain.assembly import Unknown, assemble
from calculator.domain.market import Market, Valued
from calculator.domain.readings import Kind, Reading, objection

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DIFFICULTY = "110568428300952"


def said(
    kind: Kind, source: str, value: str, ago_s: float = 0, *, simulated: bool = False
) -> Reading:
    at = NOW - timedelta(seconds=ago_s)
    return Reading(kind, source, Decimal(value), at, at, simulated)


def world(**changes: Any) -> list[Reading]:
    """What all parties say, with some of them changed or silent (None)."""
    readings = {
        "coingecko_price": said(Kind.PRICE_USD, "coingecko", "97000"),
        "mempool_price": said(Kind.PRICE_USD, "mempool", "97100"),
        "blockchain_difficulty": said(Kind.DIFFICULTY, "blockchain", DIFFICULTY),
        "ankr_difficulty": said(Kind.DIFFICULTY, "ankr", DIFFICULTY),
        "mempool_height": said(Kind.HEIGHT, "mempool", "839999"),
        "blockchain_height": said(Kind.HEIGHT, "blockchain", "839998"),
        "mempool_fees": said(Kind.FEES_BTC_PER_BLOCK, "mempool", "0.12"),
        "mempool_hashrate": said(Kind.HASHRATE_EHS, "mempool", "801"),
    }
    return [one for one in (readings | changes).values() if one is not None]


def known(**changes: Any) -> Market:
    market = assemble(world(**changes), NOW)
    assert isinstance(market, Market)
    return market


def test_the_first_pair_counts_and_the_second_checks_it() -> None:
    market = known()
    assert (market.price_usd.source, market.price_usd.value) == ("coingecko", 97000)
    assert market.second_price_usd is not None
    assert market.second_price_usd.source == "mempool"
    assert market.difficulty.source == "blockchain"
    second = market.second_network_hashrate_ehs
    assert second is not None
    assert (second.source, f"{second.value:.3f}") == ("ankr", "791.480")
    assert market.measured_hashrate_ehs is not None
    assert market.measured_hashrate_ehs.value == 801
    assert market.warnings == ()


def test_the_subsidy_is_the_next_blocks() -> None:
    assert known().height == 839_999
    assert known().subsidy_btc.value == Decimal("3.125")


def test_without_the_first_pair_the_second_counts() -> None:
    market = known(coingecko_price=None, blockchain_difficulty=None, blockchain_height=None)
    assert market.price_usd.source == "mempool"
    assert market.difficulty.source == "ankr"
    assert market.second_price_usd is None
    assert not market.price_usd.stale


def test_prices_more_than_two_percent_apart_are_a_warning() -> None:
    market = known(mempool_price=said(Kind.PRICE_USD, "mempool", "99000"))
    [warning] = market.warnings
    assert "coingecko (97000.00) and of mempool (99000.00) differ by 2.1 %" in warning
    assert market.price_usd.value == 97000
    assert known(mempool_price=said(Kind.PRICE_USD, "mempool", "98900")).warnings == ()


def test_the_exchanges_median_only_checks() -> None:
    market = known(mempool_price=None, exchanges=said(Kind.PRICE_USD, "exchanges", "120000"))
    assert market.price_usd.value == 97000
    assert market.second_price_usd is not None
    assert market.second_price_usd.source == "exchanges"
    assert "exchanges" in market.warnings[0]
    alone = assemble(
        world(
            coingecko_price=None,
            mempool_price=None,
            exchanges=said(Kind.PRICE_USD, "exchanges", "120000"),
        ),
        NOW,
    )
    assert alone == Unknown((Kind.PRICE_USD,))


def test_difficulties_apart_are_a_warning() -> None:
    market = known(ankr_difficulty=said(Kind.DIFFICULTY, "ankr", "120000000000000"))
    assert "difficulty" in market.warnings[0]


@pytest.mark.parametrize(("age_s", "stale"), [(0, False), (359, False), (361, True), (7200, True)])
def test_a_price_is_stale_a_minute_after_it_should_have_been_renewed(
    age_s: int, *, stale: bool
) -> None:
    market = known(
        coingecko_price=said(Kind.PRICE_USD, "coingecko", "97000", age_s), mempool_price=None
    )
    assert market.price_usd.stale is stale
    assert market.price_usd.age_s(NOW) == age_s
    assert any("old" in warning for warning in market.warnings) is stale


def test_when_all_are_old_the_youngest_counts() -> None:
    market = known(
        coingecko_price=said(Kind.PRICE_USD, "coingecko", "97000", 5000),
        mempool_price=said(Kind.PRICE_USD, "mempool", "98000", 4000),
    )
    assert (market.price_usd.source, market.price_usd.stale) == ("mempool", True)


def test_a_source_that_repeats_an_old_price_is_not_fresh() -> None:
    old = NOW - timedelta(hours=2)
    repeated = Reading(Kind.PRICE_USD, "coingecko", Decimal(97000), old, NOW)
    assert known(coingecko_price=repeated).price_usd.source == "mempool"


def test_a_quote_by_hand_counts_where_no_source_has_a_younger_one() -> None:
    by_hand = said(Kind.PRICE_USD, "manual", "95000", 7200)
    assert known(manual=by_hand).price_usd.source == "coingecko"
    market = known(
        manual=by_hand,
        mempool_price=None,
        coingecko_price=said(Kind.PRICE_USD, "coingecko", "97000", 90_000),
    )
    assert (market.price_usd.source, market.price_usd.stale) == ("manual", False)
    old = known(
        manual=said(Kind.PRICE_USD, "manual", "95000", 90_000),
        mempool_price=None,
        coingecko_price=None,
    )
    assert (old.price_usd.source, old.price_usd.stale) == ("manual", True)


def test_without_fees_none_are_counted_and_that_is_said() -> None:
    market = known(mempool_fees=None)
    assert (market.fees_btc_per_block.value, market.fees_btc_per_block.source) == (0, "none")
    assert "fees" in market.warnings[0]


def test_what_is_missing_is_named() -> None:
    assert assemble([], NOW) == Unknown((Kind.PRICE_USD, Kind.DIFFICULTY, Kind.HEIGHT))


def test_simulated_figures_say_so() -> None:
    simulated = said(Kind.PRICE_USD, "coingecko", "97000", simulated=True)
    assert known(coingecko_price=simulated).price_usd.simulated


def test_an_age_is_never_negative() -> None:
    ahead = Valued(Decimal(1), "coingecko", NOW + timedelta(seconds=30), stale=False)
    assert ahead.age_s(NOW) == 0


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.PRICE_USD, "-1"),
        (Kind.PRICE_USD, "0"),
        (Kind.PRICE_USD, "1e400"),
        (Kind.PRICE_USD, "NaN"),
        (Kind.PRICE_USD, "Infinity"),
        (Kind.DIFFICULTY, "0"),
        (Kind.HEIGHT, "-1"),
        (Kind.FEES_BTC_PER_BLOCK, "-0.1"),
        (Kind.HASHRATE_EHS, "0"),
    ],
)
def test_impossible_figures_are_objected_to(kind: Kind, value: str) -> None:
    assert objection(said(kind, "coingecko", value)) is not None


def test_a_clock_in_the_future_is_objected_to() -> None:
    ahead = Reading(Kind.PRICE_USD, "x", Decimal(1), NOW + timedelta(seconds=121), NOW)
    assert objection(ahead) is not None
    near = Reading(Kind.PRICE_USD, "x", Decimal(1), NOW + timedelta(seconds=119), NOW)
    assert objection(near) is None
