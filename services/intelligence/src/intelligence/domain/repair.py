"""From a nearly right choice to one that keeps every cap, is never short, and loses least.

Relaxations and classes speak of parts of machines; here machines are whole and watts are real.
"""

from dataclasses import dataclass

import numpy as np

from intelligence.domain.shedding import Flags, Fleet, Floats, Integers, Relaxation

FRONTIER = 160  # machines on either side of the price worth trying in a trade
GROUP_FRONTIER = 32
MAX_TRADES = 400
SMALLEST_GAIN = 1e-9  # of the loss at stake: below it, floating point argues with itself


@dataclass(slots=True)
class _Choice:
    """A choice under repair. Sums are kept beside it, so that a swap costs no second pass."""

    fleet: Fleet
    stopped: Flags
    group_w: Floats
    overshoot_w: float

    def flip(self, machine: int) -> None:
        self.stopped[machine] = not self.stopped[machine]
        change_w = self.fleet.power_w[machine] * (1.0 if self.stopped[machine] else -1.0)
        self.group_w[self.fleet.group[machine]] += change_w
        self.overshoot_w += float(change_w)


def repair(
    fleet: Fleet, stopped: Flags, target_w: float, relaxation: Relaxation, *, fill: bool = True
) -> Flags | None:
    """Return the choice made whole, or None when no machine fits that would reach the target.

    `fill` first uses the caps to their last watts: right for a rounded relaxation, often not for a
    choice that a solver has already fitted to them.
    """
    choice = _choice(fleet, stopped, target_w)
    premium = _premium(fleet, relaxation)
    _respect_caps(choice, premium)
    if fill:
        _fill_capped_groups(choice, premium, relaxation)
    if not _reach_target(choice):
        return None
    _trade_while_it_pays(choice, premium)
    return choice.stopped


def polish(fleet: Fleet, stopped: Flags, target_w: float, relaxation: Relaxation) -> Flags:
    """Return a choice that already satisfies everything, made cheaper."""
    choice = _choice(fleet, stopped, target_w)
    _trade_while_it_pays(choice, _premium(fleet, relaxation))
    return choice.stopped


def _choice(fleet: Fleet, stopped: Flags, target_w: float) -> _Choice:
    group_w = fleet.stopped_w(stopped)
    return _Choice(fleet, stopped.copy(), group_w, float(group_w.sum()) - target_w)


def _premium(fleet: Fleet, relaxation: Relaxation) -> Floats:
    """What a machine costs beyond what its watts fetch in its group: the edge is at zero."""
    return fleet.loss - relaxation.price[fleet.group] * fleet.power_w


def _respect_caps(choice: _Choice, premium: Floats) -> None:
    for group in np.flatnonzero(choice.group_w > choice.fleet.cap_w):
        members = np.flatnonzero(choice.stopped & (choice.fleet.group == group))
        for machine in members[np.argsort(-premium[members])]:
            choice.flip(int(machine))
            if choice.group_w[group] <= choice.fleet.cap_w[group]:
                break


def _fill_capped_groups(choice: _Choice, premium: Floats, relaxation: Relaxation) -> None:
    """Use a cap to its last watts: what a group cannot give, a better machine elsewhere must."""
    fleet, top_price = choice.fleet, float(relaxation.price.max())
    value = fleet.loss - top_price * fleet.power_w
    for group in np.flatnonzero(relaxation.price < top_price):
        members = np.flatnonzero(fleet.group == group)
        _add_what_fits(choice, members, value)
        for _ in range(MAX_TRADES):
            on, off = _frontier(choice, members, premium, GROUP_FRONTIER)
            if not (len(on) and len(off)):
                break
            room_w = fleet.cap_w[group] - choice.group_w[group]
            fits = fleet.power_w[off][:, None] - fleet.power_w[on][None, :] <= room_w
            gain = np.where(fits, value[on][None, :] - value[off][:, None], -np.inf)
            if not _take_best(choice, gain, on, off):
                break


def _add_what_fits(choice: _Choice, members: Integers, value: Floats) -> None:
    fleet = choice.fleet
    off = members[~choice.stopped[members] & (value[members] < 0)]
    for machine in off[np.argsort(fleet.loss_per_watt[off])]:
        group = fleet.group[machine]
        if fleet.power_w[machine] <= fleet.cap_w[group] - choice.group_w[group]:
            choice.flip(int(machine))


def _reach_target(choice: _Choice) -> bool:
    """Stop the cheapest machines that fit, until nothing is short."""
    fleet = choice.fleet
    off = np.flatnonzero(~choice.stopped)
    for machine in off[np.argsort(fleet.loss_per_watt[off], kind="stable")]:
        if choice.overshoot_w >= 0:
            return True
        group = fleet.group[machine]
        if fleet.power_w[machine] <= fleet.cap_w[group] - choice.group_w[group]:
            choice.flip(int(machine))
    return choice.overshoot_w >= 0


def _trade_while_it_pays(choice: _Choice, premium: Floats) -> None:
    """Trade one machine for another, or for none, taking the best trade each time.

    A trade may spend the overshoot, never more: the target stays met.
    """
    fleet = choice.fleet
    everyone = np.arange(len(fleet.power_w))
    for _ in range(MAX_TRADES):
        on, off = _frontier(choice, everyone, premium, FRONTIER)
        power_out, loss_out = _or_none(fleet.power_w[on]), _or_none(fleet.loss[on])
        power_in, loss_in = _or_none(fleet.power_w[off]), _or_none(fleet.loss[off])
        room_w = np.append((fleet.cap_w - choice.group_w)[fleet.group[off]], np.inf)
        group_out, group_in = np.append(fleet.group[on], -1), np.append(fleet.group[off], -2)
        freed_w = np.where(group_in[:, None] == group_out[None, :], power_out[None, :], 0.0)
        fits = power_in[:, None] <= room_w[:, None] + freed_w
        meets = power_out[None, :] - power_in[:, None] <= choice.overshoot_w
        gain = np.where(fits & meets, loss_out[None, :] - loss_in[:, None], -np.inf)
        if not _take_best(choice, gain, on, off):
            break


def _or_none(column: Floats) -> Floats:
    """Append "no machine": it draws nothing and costs nothing."""
    return np.append(column, 0.0)


def _frontier(
    choice: _Choice, members: Integers, premium: Floats, width: int
) -> tuple[Integers, Integers]:
    """Return the stopped machines that cost most and the running ones that cost least."""
    stopped = choice.stopped[members]
    on, off = members[stopped], members[~stopped]
    if len(on) > width:
        on = on[np.argpartition(-premium[on], width)[:width]]
    if len(off) > width:
        off = off[np.argpartition(premium[off], width)[:width]]
    return on, off


def _take_best(choice: _Choice, gain: Floats, on: Integers, off: Integers) -> bool:
    if gain.size == 0:
        return False
    row, column = divmod(int(np.argmax(gain)), gain.shape[1])
    traded = [int(side[place]) for side, place in ((on, column), (off, row)) if place < len(side)]
    stake = max((abs(float(choice.fleet.loss[machine])) for machine in traded), default=0.0)
    if not gain[row, column] > SMALLEST_GAIN * stake:
        return False
    for machine in traded:
        choice.flip(machine)
    return True
