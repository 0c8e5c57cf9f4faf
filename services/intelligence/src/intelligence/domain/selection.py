"""The greedy answer to "shed this much power", with the bound that says how good it is."""

from dataclasses import dataclass
from math import floor

import numpy as np

from intelligence.domain.fill import fullest
from intelligence.domain.repair import polish, repair
from intelligence.domain.shedding import Flags, Fleet, Relaxation, relax, sheddable_w

MICROWATT = 1e-6  # added to the target, so that no order of summing comes out short of it


class Infeasible(Exception):
    """The machines cannot shed that much under their caps."""

    def __init__(self, maximum_power_w: float) -> None:
        super().__init__(maximum_power_w)
        self.maximum_power_w = maximum_power_w


@dataclass(frozen=True, slots=True)
class Selection:
    """Machines to stop, what that costs, and the least that anything could cost."""

    stopped: Flags
    loss: float
    bound: float

    @property
    def gap(self) -> float | None:
        """The part of the bound by which the loss exceeds it; None where that has no meaning."""
        excess = max(self.loss - self.bound, 0.0)
        if self.bound == 0:
            return 0.0 if excess == 0 else None
        return excess / abs(self.bound)

    def is_within(self, gap: float) -> bool:
        return self.gap is not None and self.gap <= gap


def select_greedily(fleet: Fleet, target_w: float) -> tuple[Selection, Relaxation]:
    """Round the linear relaxation to whole machines and repair it on real watts.

    Raises:
        Infeasible: no choice within the caps sheds that much.
    """
    if not len(fleet.power_w) or target_w > float(sheddable_w(fleet).sum()) + MICROWATT:
        raise Infeasible(maximum_w(fleet))
    relaxation = relax(fleet, target_w)
    whole = relaxation.share >= 1
    stopped = repair(fleet, whole, target_w + MICROWATT, relaxation)
    if stopped is None:  # only a handful of choices reach the target: begin from the fullest
        stopped = fullest(fleet)
        if shed_w(fleet, stopped) < target_w - MICROWATT:
            raise Infeasible(maximum_w(fleet))
        stopped = polish(fleet, stopped, target_w, relaxation)
    return selection(fleet, stopped, relaxation), relaxation


def selection(fleet: Fleet, stopped: Flags, relaxation: Relaxation) -> Selection:
    """Return the choice with its cost beside the bound."""
    return Selection(stopped, float(fleet.loss[stopped].sum()), relaxation.bound)


def shed_w(fleet: Fleet, stopped: Flags) -> float:
    """Return the power that the stopped machines no longer draw."""
    return float(fleet.power_w[stopped].sum())


def maximum_w(fleet: Fleet) -> float:
    """Return the most power that can be shed, to the milliwatt below: so much may be asked for."""
    if not len(fleet.power_w):
        return 0.0
    return floor((shed_w(fleet, fullest(fleet)) + MICROWATT) * 1000) / 1000


def worst_first(fleet: Fleet, stopped: Flags) -> list[int]:
    """Return the stopped machines, the one that is missed least per watt first."""
    chosen = np.flatnonzero(stopped)
    return chosen[np.argsort(fleet.loss_per_watt[chosen], kind="stable")].tolist()
