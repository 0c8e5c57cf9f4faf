"""Choosing machines: the site's rows, telemetry's readings, intelligence's recommendation.

Everything here only reads, so that no lock is held while other services think.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid
from common.http import Refused
from hosting.curtailment.machines import SiteMachine, machines_of, require_site
from hosting.curtailment.models import CurtailmentTarget, holds_its_miner
from hosting.curtailment.settings import curtailment_settings
from hosting.domain.curtailment import megawatts_to_watts, watts_to_megawatts
from hosting.domain.curtailment_choice import Candidate, Machine, Screening, screen
from hosting.intelligence import Recommendation, RecommendationUnusable, recommend
from hosting.miners.models import Miner
from hosting.parties import Parties
from hosting.telemetry import Reading, fleet


class TargetOutOfReach(Invalid):
    title: ClassVar[str] = "The site cannot shed that much"


class MinersInAnotherPlan(Conflict):
    title: ClassVar[str] = "The machines are in another plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants shed, where, and at what price."""

    site_id: UUID
    target_mw: Decimal
    strategy: str
    objective: str
    hashprice_usd_per_ths_day: Decimal | None = None
    usd_per_kwh: Decimal | None = None

    @property
    def target_w(self) -> float:
        return megawatts_to_watts(self.target_mw)


@dataclass(frozen=True, slots=True)
class Selection:
    """The site's machines, the ones chosen among them, and how good the choice is."""

    screening: Screening
    chosen: Sequence[Candidate]
    recommendation: Recommendation | None
    decided_at: datetime

    @property
    def expected_w(self) -> float:
        return sum(candidate.sheddable_w for candidate in self.chosen)

    @property
    def hashrate_loss_ths(self) -> float:
        return sum(candidate.hashrate_ths for candidate in self.chosen)

    def snapshot(self, wish: Wish) -> dict[str, Any]:
        """Return what the decision rested on, to be kept with the plan."""
        settings = curtailment_settings()
        made = self.recommendation
        return {
            "decided_at": self.decided_at,
            "target_power_w": wish.target_w,
            "margin": settings.margin,
            "sleep_power_w": settings.sleep_power_w,
            "expected_reduction_w": self.expected_w,
            "maximum_power_w": self.screening.maximum_w,
            "candidates": len(self.screening.candidates),
            "chosen": len(self.chosen),
            "skipped_by_reason": self.screening.skipped_by_reason(),
            "hashrate_loss_ths": self.hashrate_loss_ths,
            "bound": made.bound if made else None,
            "gap": made.gap if made else None,
            "method": made.method if made else None,
            "elapsed_ms": made.elapsed_ms if made else None,
        }


async def survey(
    session: AsyncSession, parties: Parties, principal: Principal, site_id: UUID
) -> Screening:
    """Return which of the site's machines may be stopped now, and why the others may not.

    Raises:
        NoSuchSite: the site is not the caller's.
        Unavailable: telemetry is away; without readings nothing can be proven.
    """
    await require_site(session, site_id)
    rows = await machines_of(session, site_id)
    held = set(
        await session.scalars(
            select(CurtailmentTarget.miner_id)
            .join(Miner, Miner.id == CurtailmentTarget.miner_id)
            .where(Miner.site_id == site_id, holds_its_miner())
        )
    )
    latest = await fleet(parties.telemetry, principal, site_id)
    settings = curtailment_settings()
    return screen(
        [_machine(row, latest.get(row.id), in_another_plan=row.id in held) for row in rows],
        now=now(),
        max_age=timedelta(seconds=settings.max_age_s),
        sleep_power_w=settings.sleep_power_w,
    )


def _machine(row: SiteMachine, reading: Reading | None, *, in_another_plan: bool) -> Machine:
    group = str(row.client_id) if row.client_id else None
    if reading is None:
        return Machine(row.id, row.status, row.firmware, group, in_another_plan)
    return Machine(
        miner_id=row.id,
        status=row.status,
        firmware=reading.firmware or row.firmware,
        group=group,
        in_another_plan=in_another_plan,
        hashrate_ths=reading.hashrate_ths,
        power_w=reading.power_w,
        power_estimated=reading.power_estimated,
        sampled_at=reading.sampled_at,
    )


async def select_machines(
    session: AsyncSession,
    parties: Parties,
    principal: Principal,
    wish: Wish,
    screening: Screening,
) -> Selection:
    """Choose machines that shed the target for the least loss.

    Raises:
        TargetOutOfReach: the target is not positive, or beyond what the site can shed.
        MinersInAnotherPlan: it would be within reach but for machines that another plan holds.
        Unavailable: intelligence is away.
    """
    await require_within_reach(session, wish, screening)
    return await best_of(parties, principal, wish, screening)


async def require_within_reach(
    session: AsyncSession, wish: Wish, screening: Screening, *, later: bool = False
) -> None:
    """Refuse a target that the site cannot shed, naming what it can.

    A plan for later may count on machines that another plan holds now.

    Raises:
        TargetOutOfReach: the target is not positive, or beyond what the site can shed.
        MinersInAnotherPlan: it would be within reach but for machines that another plan holds.
    """
    maximum_mw = watts_to_megawatts(int(screening.maximum_w))
    if wish.target_mw <= 0:
        raise _out_of_reach(
            f"The reduction must be above 0 MW; at most {maximum_mw} MW can be shed now.",
            maximum_mw,
            screening.skipped_by_reason(),
        )
    if wish.target_w <= screening.maximum_w:
        return
    plans, power_w = await _held_power(session, wish.site_id)
    if wish.target_w > screening.maximum_w + power_w:
        raise _out_of_reach(
            f"{wish.target_mw} MW are asked, at most {maximum_mw} MW can be shed now.",
            maximum_mw,
            screening.skipped_by_reason(),
        )
    if not later:
        raise MinersInAnotherPlan(
            f"{wish.target_mw} MW need machines that another plan holds; "
            f"without them {maximum_mw} MW can be shed now.",
            plan_ids=plans,
            maximum_power_mw=float(maximum_mw),
        )


def _out_of_reach(
    detail: str, maximum_mw: Decimal, skipped_by_reason: dict[str, int] | None = None
) -> TargetOutOfReach:
    return TargetOutOfReach(
        detail,
        field="target_power_reduction_mw",
        maximum_power_mw=float(maximum_mw),
        skipped_by_reason=skipped_by_reason or {},
    )


async def best_of(
    parties: Parties, principal: Principal, wish: Wish, screening: Screening
) -> Selection:
    """Choose machines for as much of the target as the site can shed."""
    settings = curtailment_settings()
    aimed_w = min(wish.target_w * (1 + settings.margin), screening.maximum_w)
    if aimed_w <= 0:
        return Selection(screening, [], None, now())
    try:
        made = await recommend(
            parties.intelligence,
            principal,
            miners=[_asked(candidate, wish) for candidate in screening.candidates],
            # A hair below the sum of all candidates, so that rounding never asks for more.
            target_power_w=min(aimed_w, screening.maximum_w * (1 - 1e-12)),
            objective=wish.objective,
            max_age_s=settings.max_age_s,
            hashprice_usd_per_ths_day=_number(wish.hashprice_usd_per_ths_day),
        )
    except Refused as refusal:
        raise _translated(refusal, wish) from refusal
    chosen = set(made.shutdown)
    selection = Selection(
        screening,
        [candidate for candidate in screening.candidates if candidate.miner_id in chosen],
        made,
        now(),
    )
    if selection.expected_w < min(wish.target_w, screening.maximum_w) * (1 - 1e-9):
        raise RecommendationUnusable(
            "The recommendation falls short of the target; try again.", retry_after_s=5
        )
    return selection


async def _held_power(session: AsyncSession, site_id: UUID) -> tuple[list[str], float]:
    rows = await session.execute(
        select(CurtailmentTarget.plan_id, func.sum(CurtailmentTarget.baseline_power_w))
        .join(Miner, Miner.id == CurtailmentTarget.miner_id)
        .where(Miner.site_id == site_id, holds_its_miner())
        .group_by(CurtailmentTarget.plan_id)
    )
    held = rows.all()
    return [str(plan_id) for plan_id, _ in held], sum(power_w for _, power_w in held)


def _asked(candidate: Candidate, wish: Wish) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "id": candidate.miner_id,
        "hashrate_ths": candidate.hashrate_ths,
        "power_w": candidate.sheddable_w,
        "sampled_at": candidate.sampled_at,
    }
    if candidate.group is not None:
        asked["group"] = candidate.group
    if wish.usd_per_kwh is not None:
        asked["usd_per_kwh"] = float(wish.usd_per_kwh)
    return asked


def _translated(refusal: Refused, wish: Wish) -> Exception:
    """Turn intelligence's 422 into ours: the caller asked in megawatts."""
    maximum_w = refusal.document.get("maximum_power_w")
    if refusal.status != TargetOutOfReach.status or not isinstance(maximum_w, int | float):
        return refusal
    maximum_mw = watts_to_megawatts(maximum_w)
    return _out_of_reach(
        f"{wish.target_mw} MW are asked, at most {maximum_mw} MW can be shed now.", maximum_mw
    )


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
