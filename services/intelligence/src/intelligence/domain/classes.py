"""Classes of like machines: what a solver counts instead of deciding on each machine."""

from dataclasses import dataclass

import numpy as np

from intelligence.domain.shedding import Flags, Fleet, Floats, Integers

MAX_CLASSES = 320
FEWEST_PER_GROUP = 6


@dataclass(frozen=True, slots=True)
class Classes:
    """Machines of one group with nearly the same loss per watt, represented by their means."""

    exact: bool  # each class is one kind of machine, not a range of them
    of_machine: Integers
    size: Integers
    group: Integers
    power_w: Floats
    loss: Floats


def classify(fleet: Fleet) -> Classes:
    """Group machines by group, then by quantile of loss per watt.

    Where few enough kinds of machine exist (a fleet by nameplate, or a small one), each kind is a
    class and the means are exact.
    """
    order = np.lexsort((fleet.power_w, fleet.loss_per_watt, fleet.group))
    group = fleet.group[order]
    exact = _runs(group, fleet.loss[order], fleet.power_w[order])
    is_exact = bool(exact[-1] < MAX_CLASSES)
    label = exact if is_exact else _quantiles(group)
    of_machine = np.empty_like(label)
    of_machine[order] = label
    size = np.bincount(of_machine)
    class_group = np.empty_like(size)
    class_group[of_machine] = fleet.group
    return Classes(
        exact=is_exact,
        of_machine=of_machine,
        size=size,
        group=class_group,
        power_w=np.bincount(of_machine, weights=fleet.power_w) / size,
        loss=np.bincount(of_machine, weights=fleet.loss) / size,
    )


def _runs(*columns: Floats | Integers) -> Integers:
    """Number the runs of equal rows."""
    changed = np.zeros(len(columns[0]), dtype=np.bool_)
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.cumsum(changed, dtype=np.int64)


def _quantiles(group: Integers) -> Integers:
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    size = np.diff(starts, append=len(group))
    per_group = max(MAX_CLASSES // len(starts), FEWEST_PER_GROUP)
    rank = np.arange(len(group)) - np.repeat(starts, size)
    return _runs(group, rank * per_group // np.repeat(size, size))


def pick(fleet: Fleet, classes: Classes, count: Integers) -> Flags:
    """Return the machines meant by so many of each class: those missed least per watt."""
    order = np.lexsort((fleet.loss_per_watt, classes.of_machine))
    first = np.cumsum(classes.size) - classes.size
    of_machine = classes.of_machine[order]
    stopped = np.empty(len(order), dtype=np.bool_)
    stopped[order] = np.arange(len(order)) - first[of_machine] < count[of_machine]
    return stopped
