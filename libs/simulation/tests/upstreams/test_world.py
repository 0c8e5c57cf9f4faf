"""What all providers agree on: one price path and one chain, in closed form."""

import random
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from simulation.upstreams.chain import (
    BLOCKS,
    Chain,
    bits_of,
    difficulty_of,
    issued_sat,
    retargeted,
    subsidy_sat,
    target_of,
)
from simulation.upstreams.prices import DAY_S, FIRST_DAY, PricePath

NOW_S = datetime(2026, 11, 21, 14, 49, 29, tzinfo=UTC).timestamp()
SEEDS = (0, 1, 7, 4711)


@pytest.mark.parametrize("seed", SEEDS)
def test_prices_stay_plausible_and_walk_like_prices(seed: int) -> None:
    path = PricePath(seed)
    days = path.bars(FIRST_DAY * DAY_S, NOW_S, NOW_S, unit_s=3600).grouped(DAY_S)
    assert len(days) == int(NOW_S) // DAY_S - FIRST_DAY + 1
    assert days.low.min() > 55_000
    assert days.high.max() < 140_000
    returns = np.diff(np.log(days.close))
    assert 0.012 < returns.std() < 0.035
    swings = returns**2 - np.mean(returns**2)
    assert np.mean(swings[1:] * swings[:-1]) / np.mean(swings**2) > 0.03  # wild days cluster


def test_equal_seeds_tell_the_same_in_any_order_and_others_differ() -> None:
    moments = [NOW_S - step * 12_345.6 for step in range(200)]
    first, path, other = PricePath(7), PricePath(7), PricePath(8)
    forwards = [first.price_usd(at_s) for at_s in moments]
    shuffled = random.Random(1).sample(range(200), 200)
    assert {index: path.price_usd(moments[index]) for index in shuffled} == dict(
        enumerate(forwards)
    )
    assert [other.price_usd(at_s) for at_s in moments] != forwards


def test_days_join_without_a_jump() -> None:
    path = PricePath(7)
    for day in range(20_700, 20_760):
        before, after = path.price_usd(day * DAY_S - 0.001), path.price_usd(day * DAY_S)
        assert before == pytest.approx(after, rel=1e-6)


def test_history_told_before_does_not_change_as_time_goes_on() -> None:
    path = PricePath(7)
    then = path.bars(NOW_S - DAY_S, NOW_S, NOW_S)
    later = path.bars(NOW_S - DAY_S, NOW_S, NOW_S + 5 * DAY_S)
    assert (then.close[:-1] == later.close[:-1]).all()
    assert then.time_s[-1] == later.time_s[-1]


@pytest.mark.parametrize("seed", SEEDS)
def test_difficulty_follows_the_networks_own_rule(seed: int) -> None:
    chain = Chain(seed)
    epochs = chain.epochs_until(NOW_S)
    assert NOW_S - epochs[0].started_s > 400 * DAY_S
    for before, after in pairwise(epochs):
        last, first = chain.block(after.first_height - 1), chain.block(before.first_height)
        assert last.time_s - first.time_s == before.timespan_s
        assert after.bits == retargeted(before.bits, before.timespan_s)
        assert after.difficulty == difficulty_of(after.bits)
        assert after.first_height == before.first_height + BLOCKS
        assert after.started_s > last.time_s


@pytest.mark.parametrize("seed", SEEDS)
def test_heights_and_hashrate_are_near_the_real_ones(seed: int) -> None:
    chain = Chain(seed)
    halving = datetime.fromtimestamp(chain.block(840_000).time_s, UTC)
    assert abs(halving - datetime(2024, 4, 20, tzinfo=UTC)).days < 5
    height = chain.height_at(NOW_S)
    assert 970_000 < height < 985_000
    implied = chain.epoch_at(NOW_S).difficulty * 2**32 / 600
    assert 0.8 < chain.hashes_per_s(height, 1008) / implied < 1.25
    assert 700e18 < implied < 1700e18


def test_only_blocks_found_by_now_exist() -> None:
    chain = Chain(7)
    height = chain.height_at(NOW_S)
    assert chain.block(height).time_s <= NOW_S < chain.block(height + 1).time_s
    assert not chain.knows(height + 1, NOW_S)
    tip = chain.hash_of(height)
    assert chain.height_of(tip, NOW_S) == height
    assert chain.height_of(tip, chain.block(height).time_s - 1) is None
    assert chain.height_of("f" + tip[1:], NOW_S) is None
    assert int(tip, 16) < target_of(chain.block(height).bits)


def test_known_facts_of_the_network() -> None:
    assert subsidy_sat(0) == 5_000_000_000
    assert subsidy_sat(209_999) == 5_000_000_000
    assert subsidy_sat(840_000) == 312_500_000
    assert subsidy_sat(64 * 210_000) == 0
    assert issued_sat(575_644) == 1_769_556_250_000_000
    assert difficulty_of(0x1D00FFFF) == 1.0
    assert difficulty_of(0x1B0404CB) == pytest.approx(16_307.420938523983)
    assert bits_of(target_of(0x1B0404CB)) == 0x1B0404CB
    assert retargeted(0x1D00FFFF, 1_209_600) == 0x1D00FFFF
    assert retargeted(0x1B0404CB, 1) == retargeted(0x1B0404CB, 1_209_600 // 4)
