"""A shift: the same energy at other hours. What it saved, against the hours of a baseline."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from common.ids import new_id
from common.runtime import Runtime
from energy.costs.keeping import peaks_before
from energy.costs.rating import half_hours_of, reigns_of
from energy.costs.reading import SiteHalfHours, site_half_hours
from energy.domain.zone import YearMonth
from energy.facts.models import Site
from energy.facts.reading import site_of
from energy.savings.avoided import by_bill
from energy.savings.ledger import LATE, in_dollars, keep, month_after, months_long, tariffs_view
from energy.savings.market import market_at
from energy.savings.models import Saving
from energy.savings.schemas import NewShift
from energy.savings.shifting import profile, shifted
from energy.savings.worth import instants, worth
from energy.tariffs.publishing import note
from energy.usage.half_hours import span_of_days

log = get_logger()
_LONGEST_DAYS = 92
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:id, 5306))")
_AGAIN = timedelta(hours=1)
_AT_ONCE = 100
_RULE = (
    "Each local day's energy spread over its half-hours as on the mean day of the baseline; hashes "
    "per kWh as in the baseline."
)


class ShiftUnclear(Invalid):
    title: ClassVar[str] = "The two spans cannot be compared"


class ShiftOverlaps(Conflict):
    title: ClassVar[str] = "These days are in the ledger already"


class ShiftNotFound(NotFound):
    title: ClassVar[str] = "No such shift"


class BaselineIncomplete(Conflict):
    title: ClassVar[str] = "The baseline does not tell of every half-hour of a day"


@dataclass(frozen=True, slots=True)
class Spans:
    """The days that are judged, and those that they are judged by; all inclusive."""

    first: date
    last: date
    baseline_first: date
    baseline_last: date


@dataclass(frozen=True, slots=True)
class _Shift:
    id: UUID
    organisation_id: UUID
    site: Site
    spans: Spans
    note: str | None


async def create(session: AsyncSession, caller: Principal, body: NewShift) -> Saving:
    """Put a shift into the ledger.

    Raises:
        SiteUnknown: there is no such site.
        ShiftUnclear: the spans overlap, end before they start, or are not over.
        ShiftOverlaps: another shift of the site is of the same days.
        BaselineIncomplete: there are half-hours of a day of which the baseline knows nothing.
    """
    site = await site_of(session, body.site_id)
    spans = Spans(body.start_date, body.end_date, body.baseline_start_date, body.baseline_end_date)
    _check(spans, datetime.now(ZoneInfo(site.timezone)).date())  # noqa: TID251
    await _refuse_twice(session, site, spans)
    shift_id = new_id()
    await _settle(session, _Shift(shift_id, caller.organisation_id, site, spans, body.note))
    found = await session.scalar(select(Saving).where(Saving.source_id == shift_id))
    assert found is not None
    await note(session, caller, "saving.shift", found.id, object_type="saving")
    return found


async def remove(session: AsyncSession, caller: Principal, saving_id: UUID) -> None:
    """Take a shift out of the ledger.

    Raises:
        ShiftNotFound: there is none of this id.
    """
    found = await session.get(Saving, saving_id)
    if found is None or found.kind != "shift":
        raise ShiftNotFound("There is no shift of this id; a plan's line stays.")
    await session.delete(found)
    await note(session, caller, "saving.remove", saving_id, object_type="saving")


async def _refuse_twice(session: AsyncSession, site: Site, spans: Spans) -> None:
    """Refuse days that another shift tells of: their saving would be counted twice."""
    start, end = span_of_days(spans.first, spans.last, site.timezone)
    await session.execute(_ONE_AT_A_TIME, {"id": str(site.id)})
    before = await session.scalar(
        select(Saving.id).where(
            Saving.kind == "shift",
            Saving.site_id == site.id,
            Saving.starts_at < end,
            Saving.ends_at > start,
        )
    )
    if before is not None:
        raise ShiftOverlaps("Take that shift away first.", saving_id=str(before))


def _check(spans: Spans, today: date) -> None:
    pairs = (
        (spans.first, spans.last, "end_date"),
        (spans.baseline_first, spans.baseline_last, "baseline_end_date"),
    )
    for first, last, field in pairs:
        if not 0 <= (last - first).days < _LONGEST_DAYS:
            raise ShiftUnclear(
                f"It lies on or after the start, at most {_LONGEST_DAYS} days.", field=field
            )
        if last >= today:
            raise ShiftUnclear("Only days that are over can be judged.", field=field)
    if spans.first <= spans.baseline_last and spans.baseline_first <= spans.last:
        raise ShiftUnclear(
            "The baseline must lie before or after the shift.", field="baseline_start_date"
        )


async def settle_due(runtime: Runtime) -> int:
    """Reckon the shifts anew whose half-hours may have been corrected."""
    query = select(Saving.organisation_id, Saving.source_id).where(
        Saving.kind == "shift", Saving.state != "final", Saving.settled_at < now() - _AGAIN
    )
    async with runtime.worker_session() as session:
        due = (await session.execute(query.limit(_AT_ONCE))).all()
    for organisation_id, shift_id in due:
        try:
            async with runtime.tenant_session(organisation_id) as session:
                await _again(session, shift_id)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # One shift that cannot be reckoned keeps no other from it.
            log.exception("savings.failed", shift_id=str(shift_id))
    return len(due)


async def _again(session: AsyncSession, shift_id: UUID) -> None:
    row = await session.scalar(select(Saving).where(Saving.source_id == shift_id))
    site = None if row is None else await session.get(Site, row.site_id)
    if row is None or site is None:
        return
    said = row.baseline
    spans = Spans(*(date.fromisoformat(said[name]) for name in _DATES))
    try:
        await _settle(session, _Shift(shift_id, row.organisation_id, site, spans, said["note"]))
    except BaselineIncomplete:  # half-hours that were there when it was made are gone
        row.settled_at = now()


_DATES = ("start_date", "end_date", "baseline_start_date", "baseline_end_date")


async def _settle(session: AsyncSession, shift: _Shift) -> None:
    site, spans = shift.site, shift.spans
    start, end = span_of_days(spans.first, spans.last, site.timezone)
    before = span_of_days(spans.baseline_first, spans.baseline_last, site.timezone)
    baseline = await site_half_hours(session, site.id, *before)
    actual = await site_half_hours(session, site.id, start, end)
    mean = profile(baseline, site.timezone)
    if not mean.complete() or not len(actual.starts_s):
        raise BaselineIncomplete(
            "Choose days in which each half-hour of the day was told of, and used energy.",
            field="baseline_start_date",
        )
    made = await asyncio.to_thread(shifted, actual, mean, site.timezone)
    figures = await _figures(session, site, made.more, start, end, hashes_known=made.hashes_known)
    dates = (spans.first, spans.last, spans.baseline_first, spans.baseline_last)
    row = figures | {
        "organisation_id": shift.organisation_id,
        "kind": "shift",
        "source_id": shift.id,
        "scope": "site",
        "client_id": None,
        "site_id": site.id,
        "starts_at": start,
        "ends_at": end,
        "machines": None,
        "avoided_kwh": None,
        "baseline": {
            "rule": _RULE,
            **{name: day.isoformat() for name, day in zip(_DATES, dates, strict=True)},
            "note": shift.note,
            "days": mean.days,
            "moved_kwh": f"{made.moved_kwh:f}",
            "half_hours_missing": _missing(actual, start, end),
        },
        "simulated": figures["simulated"] or any(actual.simulated) or any(baseline.simulated),
        "settled_at": now(),
    }
    await keep(session, [row])


def _missing(actual: SiteHalfHours, start: datetime, end: datetime) -> int:
    return int((end - start).total_seconds()) // 1800 - len(actual.starts_s)


async def _figures(
    session: AsyncSession,
    site: Site,
    more: Any,
    start: datetime,
    end: datetime,
    *,
    hashes_known: bool,
) -> dict[str, Any]:
    """Return what the shift saved, and what it brought less."""
    first = start.astimezone(UTC).replace(day=1) - timedelta(days=1)
    last = min(month_after(end, site.timezone), now() + timedelta(hours=1))
    span = int(first.timestamp()), int(max(last, end).timestamp())
    reigns = await reigns_of(session, site.id, *span)
    months = await half_hours_of(session, site.id, *span)
    peaks = await peaks_before(session, site.id, YearMonth(end.year, end.month).after(1))
    cost = await asyncio.to_thread(by_bill, reigns, more, months, peaks)
    market = await market_at(session, instants(more.starts_s))
    brought = worth(more.th_h, market.epochs, market.quotes)
    in_usd, view, why = await in_dollars(session, cost.currency, cost.whole, end)
    lost = brought.usd if hashes_known else None
    reasons = [*cost.reasons, *why]
    reasons.extend(brought.reasons if hashes_known else ["hashrate_unknown"])
    final_at = month_after(end, site.timezone) if any(map(months_long, reigns)) else end
    return {
        "state": "final" if now() - final_at >= LATE else "provisional",
        "currency": cost.currency,
        "energy_cost_avoided": cost.energy,
        "other_cost_avoided": cost.other,
        "cost_avoided": cost.whole,
        "btc_not_mined": brought.btc if hashes_known else None,
        "revenue_lost_usd": lost,
        "cost_avoided_usd": in_usd,
        "net_usd": None if in_usd is None or lost is None else in_usd - lost,
        "reasons": reasons,
        "provenance": {
            "tariffs": tariffs_view(reigns),
            **market.provenance(),
            "conversion": view,
        },
        "simulated": market.simulated(),
    }
