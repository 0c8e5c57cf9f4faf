"""The integer programme over classes of machines, through PuLP with HiGHS.

PuLP is untyped; nothing of it leaves this module.
"""
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false

import numpy as np
import pulp

from intelligence.domain.classes import Classes, classify, pick
from intelligence.domain.repair import repair
from intelligence.domain.selection import MICROWATT
from intelligence.domain.shedding import Flags, Fleet, Integers, relax

RELATIVE_GAP = 1e-4
RELATIVE_GAP_OF_MEANS = 3e-4  # a finer proof would be about means, not about machines


def select_by_milp(fleet: Fleet, target_w: float, time_limit_s: float) -> Flags | None:
    """Return the machines to stop, or None when the solver found nothing in its time."""
    classes = classify(fleet)
    count = _solve(classes, fleet, target_w, time_limit_s)
    if count is None:
        return None
    relaxation = relax(fleet, target_w)
    meant = pick(fleet, classes, count)
    repaired = [
        repair(fleet, meant, target_w + MICROWATT, relaxation, fill=fill) for fill in (False, True)
    ]
    whole = [choice for choice in repaired if choice is not None]
    return min(whole, key=lambda choice: float(fleet.loss[choice].sum()), default=None)


def _solve(classes: Classes, fleet: Fleet, target_w: float, time_limit_s: float) -> Integers | None:
    problem = pulp.LpProblem("shedding", pulp.LpMinimize)
    counts = [
        problem.add_variable(f"n{number}", 0, int(size), cat=pulp.LpInteger)
        for number, size in enumerate(classes.size)
    ]
    power_w = classes.power_w.tolist()
    problem += pulp.LpAffineExpression(zip(counts, classes.loss.tolist(), strict=True))
    problem += pulp.LpAffineExpression(zip(counts, power_w, strict=True)) >= target_w
    for group in np.flatnonzero(np.isfinite(fleet.cap_w)):
        members = np.flatnonzero(classes.group == group).tolist()
        terms = [(counts[member], power_w[member]) for member in members]
        problem += pulp.LpAffineExpression(terms) <= float(fleet.cap_w[group])
    gap = RELATIVE_GAP if classes.exact else RELATIVE_GAP_OF_MEANS
    problem.solve(pulp.HiGHS(msg=False, timeLimit=time_limit_s, gapRel=gap, threads=1))
    values = [count.value() for count in counts]
    if problem.sol_status not in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible):
        return None
    if any(value is None for value in values):
        return None
    return np.rint(np.array(values, dtype=np.float64)).astype(np.int64)
