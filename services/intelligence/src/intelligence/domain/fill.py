"""The most power that whole machines can give under their groups' caps."""

import numpy as np

from intelligence.domain.shedding import Flags, Fleet, Floats, Integers

EXACT = 24  # machines whose subsets are searched completely: two times 4,096 sums


def fullest(fleet: Fleet) -> Flags:
    """Return the choice that sheds as much as the caps allow.

    Exact for groups of up to 24 machines. In a larger one 24 of them, large and small, fill what
    the others leave, to within a few watts.
    """
    stopped = np.isinf(fleet.cap_w)[fleet.group]
    for group in np.flatnonzero(np.isfinite(fleet.cap_w)):
        members = np.flatnonzero(fleet.group == group)
        stopped[_fill(members, fleet.power_w, float(fleet.cap_w[group]))] = True
    return stopped


def _fill(members: Integers, power_w: Floats, cap_w: float) -> Integers:
    largest_first = members[np.argsort(-power_w[members], kind="stable")]
    spread = np.linspace(0, len(members) - 1, min(EXACT, len(members))).astype(np.int64)
    tail, head = largest_first[spread], np.delete(largest_first, spread)
    reserve_w = float(power_w[tail].sum()) / 2
    taken: list[int] = []
    room_w = cap_w
    for machine in head:
        if room_w - power_w[machine] >= reserve_w:
            taken.append(int(machine))
            room_w -= float(power_w[machine])
    return np.append(np.array(taken, dtype=np.int64), tail[_best_subset(power_w[tail], room_w)])


def _best_subset(power_w: Floats, room_w: float) -> Flags:
    """Return the subset with the largest sum that fits, by meeting in the middle."""
    half = len(power_w) // 2
    first, second = _subset_sums(power_w[:half]), _subset_sums(power_w[half:])
    order = np.argsort(second, kind="stable")
    place = np.searchsorted(second[order], room_w - first, side="right") - 1
    total = np.where(place >= 0, first + second[order[place]], -1.0)
    best = int(np.argmax(total))
    if total[best] < 0:
        return np.zeros(len(power_w), dtype=np.bool_)
    bits = best | int(order[place[best]]) << half
    return np.array([bits >> place & 1 for place in range(len(power_w))], dtype=np.bool_)


def _subset_sums(power_w: Floats) -> Floats:
    sums = np.zeros(1)
    for watts in power_w:
        sums = np.concatenate([sums, sums + watts])
    return sums
