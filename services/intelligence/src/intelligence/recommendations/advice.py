"""From a request to a recommendation."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import numpy as np
from structlog import get_logger

from common.clock import now
from common.errors import Invalid
from intelligence.domain.readings import Rules, usable
from intelligence.domain.selection import (
    MICROWATT,
    Infeasible,
    Selection,
    maximum_w,
    select_greedily,
    selection,
    shed_w,
    worst_first,
)
from intelligence.domain.shedding import Fleet, Floats, Integers
from intelligence.recommendations.schemas import (
    Method,
    MinerReading,
    Objective,
    Recommendation,
    RecommendationRequest,
    Share,
    Skipped,
)
from intelligence.recommendations.solver import (
    SolverBusy,
    SolverFailure,
    SolverPool,
    SolverTimeout,
)
from intelligence.recommendations.wire import Task

log = get_logger()

GOOD_ENOUGH = 1e-4  # of the bound: nearer than that no integer programme is asked


class TargetOutOfReach(Invalid):
    title: ClassVar[str] = "The usable machines cannot shed that much power"


class AmbiguousMiners(Invalid):
    title: ClassVar[str] = "A machine is named twice"


async def recommend(body: RecommendationRequest, solvers: SolverPool) -> Recommendation:
    """Return the machines to stop.

    Raises:
        AmbiguousMiners: an id occurs twice.
        TargetOutOfReach: no choice sheds the target; carries `maximum_power_w`.
    """
    began = time.perf_counter()
    _refuse_duplicates(body.miners)
    rules = Rules(
        now=now(),
        max_age=None if body.max_age_s is None else timedelta(seconds=body.max_age_s),
        priced=body.objective is Objective.PROFIT,
    )
    kept, skipped = usable(body.miners, rules)
    miners = [body.miners[position] for position in kept]
    fleet = _fleet(miners, body)
    if body.target_power_w <= 0:
        raise _out_of_reach(maximum_w(fleet), "target_power_w must be above 0.", len(skipped))
    try:
        chosen, method = await _select(fleet, body, solvers)
    except Infeasible as error:
        raise _out_of_reach(
            error.maximum_power_w,
            f"At most {error.maximum_power_w:,.0f} W can be shed within the limits, "
            f"{body.target_power_w:,.0f} W were asked for. Ask for less, or relax the limits.",
            len(skipped),
        ) from None
    return Recommendation(
        shutdown=[miners[position].id for position in worst_first(fleet, chosen.stopped)],
        power_reduction_w=round(shed_w(fleet, chosen.stopped), 6),
        hashrate_loss_ths=float(_hashrate_ths(miners)[chosen.stopped].sum()),
        loss=chosen.loss,
        bound=chosen.bound,
        gap=chosen.gap,
        method=method,
        elapsed_ms=round((time.perf_counter() - began) * 1000, 3),
        skipped=[Skipped(id=miner_id, reason=reason) for miner_id, reason in skipped],
    )


def _out_of_reach(maximum_power_w: float, detail: str, skipped: int) -> TargetOutOfReach:
    return TargetOutOfReach(
        detail, field="target_power_w", maximum_power_w=maximum_power_w, skipped_count=skipped
    )


def _refuse_duplicates(miners: Sequence[MinerReading]) -> None:
    count = Counter(miner.id for miner in miners)
    if len(count) == len(miners):
        return
    twice = [miner_id for miner_id, times in count.items() if times > 1]
    raise AmbiguousMiners(
        f"{len(twice)} ids occur more than once, e.g. {twice[0]}. Send each machine once.",
        field="miners",
        duplicates=twice[:100],
    )


async def _select(
    fleet: Fleet, body: RecommendationRequest, solvers: SolverPool
) -> tuple[Selection, Method]:
    """Answer greedily where that is near enough, else let the integer programme try as well."""
    greedy, relaxation = await asyncio.to_thread(select_greedily, fleet, body.target_power_w)
    if greedy.is_within(GOOD_ENOUGH):
        return greedy, Method.GREEDY_SWAP
    try:
        stopped = await solvers.solve(Task(fleet, body.target_power_w, body.time_limit_s))
    except SolverTimeout:
        return greedy, Method.GREEDY_AFTER_TIMEOUT
    except SolverBusy:
        return greedy, Method.GREEDY_SOLVER_BUSY
    except SolverFailure as error:
        log.warning("solver.failed", error=repr(error.__cause__))
        return greedy, Method.GREEDY_AFTER_FAILURE
    planned = selection(fleet, stopped, relaxation)
    return min(greedy, planned, key=lambda one: one.loss), Method.MILP_SWAP


def _fleet(miners: Sequence[MinerReading], body: RecommendationRequest) -> Fleet:
    power_w = np.array([miner.power_w for miner in miners], dtype=np.float64)
    weight = np.array([miner.weight for miner in miners], dtype=np.float64)
    loss = _hashrate_ths(miners)
    if body.objective is Objective.PROFIT:
        assert body.hashprice_usd_per_ths_day is not None
        usd_per_kwh = np.array([miner.usd_per_kwh for miner in miners], dtype=np.float64)
        loss = loss * body.hashprice_usd_per_ths_day - power_w * 24 / 1000 * usd_per_kwh
    group, cap_w = _caps(miners, power_w, body.limits and body.limits.max_share_by_group)
    return Fleet(power_w, loss * weight, group, cap_w)


def _hashrate_ths(miners: Sequence[MinerReading]) -> Floats:
    return np.array([miner.hashrate_ths for miner in miners], dtype=np.float64)


def _caps(
    miners: Sequence[MinerReading], power_w: Floats, limit: Share | dict[str, Share] | None
) -> tuple[Integers, Floats]:
    """Number the groups under a cap from 1; group 0 holds everything else."""
    names = {miner.group for miner in miners if miner.group is not None}
    shares = (
        limit if isinstance(limit, dict) else dict.fromkeys(names, 1.0 if limit is None else limit)
    )
    capped = sorted(name for name in names if shares.get(name, 1.0) < 1)
    number = {name: position for position, name in enumerate(capped, start=1)}
    group = np.array(
        [number.get(miner.group or "", 0) if miner.group is not None else 0 for miner in miners],
        dtype=np.int64,
    )
    group_w = np.bincount(group, weights=power_w, minlength=len(capped) + 1)
    share = np.array([np.inf, *(shares[name] for name in capped)])
    # A microwatt more, so that 0.3 of ten equal machines is three of them.
    cap_w = np.where(
        np.isinf(share), np.inf, np.nan_to_num(share, posinf=0.0) * group_w + MICROWATT
    )
    return group, cap_w
