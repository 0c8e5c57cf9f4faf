from collections.abc import Callable
from itertools import product
from typing import TypeAlias

import numpy as np
import pytest

from common.app import Service
from intelligence.domain.shedding import Fleet
from intelligence.main import SERVICE

MakeFleet: TypeAlias = Callable[..., Fleet]
BestLoss: TypeAlias = Callable[[Fleet, float], float | None]


@pytest.fixture(scope="session")
def service() -> Service:
    return SERVICE


@pytest.fixture(scope="session")
def make_fleet() -> MakeFleet:
    """Columns from lists; `share` caps every group."""

    def make(
        power_w: list[float],
        loss: list[float],
        group: list[int] | None = None,
        share: float | None = None,
    ) -> Fleet:
        power, groups = np.array(power_w), np.array(group or [0] * len(power_w), dtype=np.int64)
        total = np.zeros(max(groups, default=0) + 1)
        np.add.at(total, groups, power)
        cap_w = np.full_like(total, np.inf) if share is None else total * share + 1e-6
        return Fleet(power, np.array(loss), groups, cap_w)

    return make


@pytest.fixture(scope="session")
def best_loss() -> BestLoss:
    """The least that shedding the target costs, by trying every choice."""

    def search(fleet: Fleet, target_w: float) -> float | None:
        costs = [
            float(fleet.loss[chosen].sum())
            for bits in product((False, True), repeat=len(fleet.power_w))
            if fleet.power_w[chosen := np.array(bits, dtype=np.bool_)].sum() >= target_w - 1e-6
            and (fleet.stopped_w(chosen) <= fleet.cap_w).all()
        ]
        return min(costs, default=None)

    return search
