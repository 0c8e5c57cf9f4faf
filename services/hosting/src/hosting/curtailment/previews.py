"""What a plan would do, before anybody orders it."""

from decimal import Decimal
from typing import TypedDict

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from hosting.curtailment.plans import wish_of
from hosting.curtailment.schemas import (
    AvoidedCost,
    CurtailmentPreview,
    CurtailmentRequest,
    LostBtc,
    LostRevenue,
    PreviewCandidate,
    PreviewSkipped,
    UnknownFigure,
)
from hosting.curtailment.selection import Selection, Wish, best_of, select_machines, survey
from hosting.domain.curtailment import watts_to_megawatts
from hosting.domain.expectation import DAY_MINUTES, earned, energy_kwh
from hosting.parties import Parties, on_behalf_of
from hosting.quotes.earnings import latest_quote, quote_view
from hosting.quotes.models import Quote
from hosting.sites.models import Site
from hosting.tariffs.prices import SitePrice, site_price

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
    quote = await latest_quote(session)
    price = await site_price(session, await session.get_one(Site, body.site_id))
    return _shown(wish, selection, quote, price, body.duration_minutes)


def _shown(
    wish: Wish,
    selection: Selection,
    quote: Quote | None,
    price: SitePrice,
    duration_minutes: int | None,
) -> CurtailmentPreview:
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
        quote=quote and quote_view(quote, now()),
        **_losses(selection.hashrate_loss_ths, quote, duration_minutes or DAY_MINUTES),
        avoided_cost=_avoided(selection.expected_w, price, duration_minutes or DAY_MINUTES),
        sla_effect=_SLA_EFFECT,
    )


def _avoided(power_w: float, price: SitePrice, minutes: int) -> AvoidedCost:
    def avoided(over_minutes: int) -> Decimal | None:
        usd_per_kwh = price.usd_per_kwh
        return None if usd_per_kwh is None else energy_kwh(power_w, over_minutes) * usd_per_kwh

    return AvoidedCost(
        value=avoided(minutes),
        per_day=avoided(DAY_MINUTES),
        over_minutes=minutes,
        tariff=price.view(now()),
        reason=price.reason,
    )


class _Losses(TypedDict):
    lost_btc: LostBtc
    lost_revenue_usd: LostRevenue


def _losses(hashrate_ths: float, quote: Quote | None, minutes: int) -> _Losses:
    def lost(hashprice: Decimal | None, over_minutes: int) -> Decimal | None:
        return None if hashprice is None else earned(hashrate_ths, hashprice, over_minutes)

    btc = quote and quote.hashprice_btc_per_ths_day
    usd = quote and quote.hashprice_usd_per_ths_day
    reason = None if quote else "no_quote"
    return {
        "lost_btc": LostBtc(
            value=lost(btc, minutes),
            per_day=lost(btc, DAY_MINUTES),
            over_minutes=minutes,
            reason=reason,
        ),
        "lost_revenue_usd": LostRevenue(
            value=lost(usd, minutes),
            per_day=lost(usd, DAY_MINUTES),
            over_minutes=minutes,
            reason=reason,
        ),
    }
