"""Which machines to stop: the fleet as columns, and the linear bound on what stopping costs.

A group's cap is a share of its *power*, so the linear relaxation is a laminar knapsack: taking
watts from the least useful machine upwards, up to each group's cap, is optimal. That gives the
exact lower bound in one sort, without a solver.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The machines that may be stopped, one per row, and the cap of each group of them."""

    power_w: Floats
    loss: Floats  # what stopping the machine costs: weighted TH/s, or USD a day
    group: Integers  # index into cap_w
    cap_w: Floats  # the most power a group may lose; infinite where it has no cap

    @property
    def loss_per_watt(self) -> Floats:
        return self.loss / self.power_w

    def stopped_w(self, stopped: Flags) -> Floats:
        """Return the power that each group loses."""
        stopped_w = np.zeros_like(self.cap_w)
        np.add.at(stopped_w, self.group[stopped], self.power_w[stopped])
        return stopped_w


@dataclass(frozen=True, slots=True)
class Relaxation:
    """The optimum if machines could be stopped in part: no whole answer loses less."""

    bound: float
    share: Floats  # of each machine, 0..1
    price: Floats  # per group: the loss per watt at which its next watt would come


def sheddable_w(fleet: Fleet) -> Floats:
    """Return the watts of each machine that fit under its group's cap, worst earner first."""
    order = np.lexsort((fleet.loss_per_watt, fleet.group))
    power_w, group = fleet.power_w[order], fleet.group[order]
    before_w = np.cumsum(power_w) - power_w
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    before_w -= np.repeat(before_w[starts], np.diff(starts, append=len(group)))
    sheddable = np.empty_like(power_w)
    sheddable[order] = np.clip(fleet.cap_w[group] - before_w, 0.0, power_w)
    return sheddable


def relax(fleet: Fleet, target_w: float) -> Relaxation:
    """Return the cheapest way to shed the target with machines stopped in part.

    Machines that lose money are all in it, as far as the caps allow: each lowers the total.
    """
    sheddable, loss_per_watt = sheddable_w(fleet), fleet.loss_per_watt
    order = np.argsort(loss_per_watt, kind="stable")
    ordered_w = sheddable[order]
    before_w = np.cumsum(ordered_w) - ordered_w
    ordered_taken = np.clip(target_w - before_w, 0.0, ordered_w)
    taken = np.empty_like(ordered_taken)
    taken[order] = ordered_taken
    taken = np.where(loss_per_watt < 0, sheddable, taken)

    next_price = loss_per_watt[order[min(np.searchsorted(before_w, target_w), len(order)) - 1]]
    price = np.full(len(fleet.cap_w), max(float(next_price), 0.0))
    cut = sheddable < fleet.power_w  # here a cap ends the group before the target does
    np.minimum.at(price, fleet.group[cut], loss_per_watt[cut])
    return Relaxation(
        bound=float(np.dot(loss_per_watt, taken)), share=taken / fleet.power_w, price=price
    )
