"""What a plan would do, before anybody orders it."""

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from hosting.curtailment.plans import wish_of
from hosting.curtailment.schemas import (
    CurtailmentPreview,
    CurtailmentRequest,
    PreviewCandidate,
    PreviewSkipped,
    UnknownFigure,
)
from hosting.curtailment.selection import Selection, Wish, best_of, select_machines, survey
from hosting.domain.curtailment import watts_to_megawatts
from hosting.parties import Parties, on_behalf_of

_LOST_BTC = UnknownFigure(
    value=None, reason="The network difficulty and the block subsidy are not known to hosting yet."
)
_AVOIDED_COST = UnknownFigure(value=None, reason="The site's power tariff is not known yet.")
_SLA_EFFECT = UnknownFigure(value=None, reason="The customers' contracts are not known yet.")


async def preview(
    session: AsyncSession, parties: Parties, principal: Principal, body: CurtailmentRequest
) -> CurtailmentPreview:
    """Return what a trigger with the same body would do now; nothing is written.

    A site of which nothing can be stopped is shown with the reasons, machine by machine; the
    trigger refuses it.
    """
    wish = wish_of(body)
    caller = on_behalf_of(principal)
    screening = await survey(session, parties, caller, body.site_id)
    if wish.target_mw > 0 and not screening.candidates and screening.skipped:
        selection = await best_of(parties, caller, wish, screening)
    else:
        selection = await select_machines(session, parties, caller, wish, screening)
    return _shown(wish, selection)


def _shown(wish: Wish, selection: Selection) -> CurtailmentPreview:
    chosen = {candidate.miner_id for candidate in selection.chosen}
    made = selection.recommendation
    screening = selection.screening
    skipped = [PreviewSkipped(miner_id=it.miner_id, reason=it.reason) for it in screening.skipped]
    left_out = made.skipped if made else []
    return CurtailmentPreview(
        site_id=wish.site_id,
        target_power_reduction_mw=wish.target_mw,
        strategy=wish.strategy,
        objective=wish.objective,
        feasible=bool(chosen),
        maximum_power_mw=watts_to_megawatts(int(screening.maximum_w)),
        expected_reduction_mw=watts_to_megawatts(selection.expected_w),
        miners_affected=len(chosen),
        hashrate_loss_ths=selection.hashrate_loss_ths,
        bound=made.bound if made else None,
        gap=made.gap if made else None,
        method=made.method if made else None,
        elapsed_ms=made.elapsed_ms if made else None,
        candidates=[
            PreviewCandidate(
                miner_id=candidate.miner_id,
                hashrate_ths=candidate.hashrate_ths,
                power_w=candidate.power_w,
                expected_reduction_w=candidate.sheddable_w,
                power_estimated=candidate.power_estimated,
                sampled_at=candidate.sampled_at,
                selected=candidate.miner_id in chosen,
            )
            for candidate in screening.candidates
        ],
        skipped=[*skipped, *(PreviewSkipped(miner_id=it.id, reason=it.reason) for it in left_out)],
        skipped_by_reason=screening.skipped_by_reason(),
        lost_btc=_LOST_BTC,
        avoided_cost=_AVOIDED_COST,
        sla_effect=_SLA_EFFECT,
    )
