"""Writes what rating has worked out, and publishes what has changed by it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np
from sqlalchemy import delete, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from energy.costs import intake
from energy.costs.charges import NO_CURRENCY, Charges, Span
from energy.costs.events import CostRated, MonthCharges
from energy.costs.ledger import OwnerDay
from energy.costs.models import CostDay, ElectricityCost, SiteCharge
from energy.costs.outcome import RatedDay, instant_of
from energy.costs.packing import UNRATED, pack
from energy.costs.pricing import HALF_HOUR_S, Reign
from energy.costs.reading import e6, nano
from energy.db import Outbox
from energy.domain.zone import YearMonth
from energy.facts.models import Site

_MICRO: Final = Decimal("1e-6")
_NANO: Final = Decimal("1e-9")
_UNIQUE: Final = (
    "organisation_id", "site_id", "location", "miner_id", "miner_ip", "period_start",
    "period_end", "source",
)  # fmt: skip
_SUPERSEDE: Final = text(
    "UPDATE energy.electricity_costs m SET superseded = true WHERE m.site_id = :site_id "
    "AND m.source = 'manual' AND NOT m.superseded AND m.period_start < :end "
    "AND m.period_end > :start AND EXISTS (SELECT 1 FROM energy.electricity_costs t "
    "WHERE t.site_id = m.site_id AND t.source = 'telemetry' "
    "AND t.period_start < m.period_end AND t.period_end > m.period_start)"
)


@dataclass(frozen=True, slots=True)
class MonthSum:
    """A site's month beside energy and daily charges."""

    month: YearMonth
    charges: Mapping[str, Charges]
    peak_mw_e6: int
    """Peak power in millionths of a kW."""

    def published(self, currency: str | None) -> MonthCharges | None:
        """Return it as events carry it."""
        one = self.charges.get(currency or NO_CURRENCY)
        if one is None:
            return None
        return MonthCharges(
            month=str(self.month),
            demand_charge=money(one.demand),
            service_charge=money(one.service),
            other_charges=money(one.other),
            taxes=money(one.taxes),
            peak_kw=str(Decimal(self.peak_mw_e6).scaleb(-6)),
        )


def money(amount: Decimal) -> str:
    """Return an amount as it goes out."""
    return f"{amount.quantize(_MICRO, ROUND_HALF_UP):f}"


async def keep_half_hours(session: AsyncSession, site: Site, rated: RatedDay) -> bool:
    """Write a site's half-hours; return whether any energy is another than before."""
    starts = rated.local.starts_s[rated.load.told()].tolist()
    if not starts:
        return False
    first, last = instant_of(starts[0]), instant_of(starts[-1] + HALF_HOUR_S)
    table = ElectricityCost
    before = {
        row.period_start: row.total_kwh
        for row in await session.execute(
            select(table.period_start, table.total_kwh).where(
                table.site_id == site.id,
                table.source == "telemetry",
                table.period_start >= first,
                table.period_start < last,
            )
        )
    }
    rows = [_half_hour(site, rated, told, second) for told, second in enumerate(starts)]
    statement = insert(table)
    new = {name: statement.excluded[name] for name in rows[0] if name not in ("id", *_UNIQUE)}
    differs = or_(*(table.__table__.c[name].is_distinct_from(value) for name, value in new.items()))
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=_UNIQUE, set_={**new, "timestamp": func.now()}, where=differs
        ),
        rows,
    )
    await session.execute(_SUPERSEDE, {"site_id": site.id, "start": first, "end": last})
    return any(before.get(row["period_start"]) != row["total_kwh"] for row in rows)


def _half_hour(site: Site, rated: RatedDay, told: int, second: int) -> dict[str, Any]:
    """Return the row of one half-hour; `told` counts those of which anything is known."""
    row = int(np.searchsorted(rated.local.starts_s, second))
    kwh = Decimal(int(rated.load.kwh_e6[row])).scaleb(-6)
    reign = rated.priced.reigns[told]
    energy = nano([int(rated.priced.cost_nano[told])]) if reign else None
    service = _service(reign, rated, second) if reign else None
    breakdown = rated.priced.breakdown[told]
    return {
        "id": new_id(),
        "organisation_id": site.organisation_id,
        "client_id": None,
        "source": "telemetry",
        "site_id": site.id,
        "miner_id": None,
        "miner_ip": None,
        "location": site.location or None,
        "period_start": instant_of(second),
        "period_end": instant_of(second + HALF_HOUR_S),
        "duration_hours": Decimal("0.5"),
        "total_kwh": kwh,
        "avg_power_kw": kwh * 2,
        "peak_power_kw": kwh * 2,
        "rate_id": reign.rated.rate_id if reign else None,
        "rate_version": reign.rated.version if reign else None,
        "rate_name": reign.rated.name if reign else None,
        "currency": reign.rated.tariff.currency if reign else None,
        "avg_rate_usd_per_kwh": (
            (energy / kwh).quantize(_NANO, ROUND_HALF_UP) if energy is not None and kwh else None
        ),
        "energy_cost_usd": energy,
        "demand_charge_usd": Decimal(0) if reign else None,
        "service_charge_usd": service,
        "total_cost_usd": energy + service if energy is not None and service is not None else None,
        "tou_breakdown_usd": {name: money(part) for name, part in (breakdown or {}).items()},
        "split": bool(rated.priced.split[told]),
        "machines": int(rated.load.machines[row]),
        "unknown": int(rated.load.unknown[row]),
        "th_h": float(rated.load.th_h[row]),
        "simulated": rated.simulated,
        "superseded": False,
    }


def _service(reign: Reign, rated: RatedDay, second: int) -> Decimal:
    """Return the half-hour's part of the daily charge; a whole day's parts add up exactly."""
    span = rated.local.span
    charge = reign.rated.tariff.daily_service_charge
    upto = [
        (charge * min(at - span.start_s, span.end_s - span.start_s) / (span.end_s - span.start_s))
        for at in (second, second + HALF_HOUR_S)
    ]
    before, after = (one.quantize(_NANO, ROUND_HALF_UP) for one in upto)
    return after - before


async def keep_charges(
    session: AsyncSession,
    site: Site,
    what: tuple[str, date],
    span: Span,
    charges: Mapping[str, Charges],
    *,
    peak_mw_e6: int = 0,
) -> None:
    """Write what a site pays beside energy for a day or month, in place of what was written."""
    kind, starts_on = what
    mine = (
        SiteCharge.site_id == site.id,
        SiteCharge.kind == kind,
        SiteCharge.starts_on == starts_on,
    )
    await session.execute(delete(SiteCharge).where(*mine))
    if span.until_s <= span.start_s:
        return
    session.add_all(
        SiteCharge(
            organisation_id=site.organisation_id,
            client_id=None,
            site_id=site.id,
            kind=kind,
            starts_on=starts_on,
            starts_at=instant_of(span.start_s),
            ends_at=instant_of(span.until_s),
            currency=currency,
            service_charge=one.service,
            demand_charge=one.demand,
            other_charges=one.other,
            taxes=one.taxes,
            peak_kw=Decimal(peak_mw_e6).scaleb(-6),
            lines=one.lines,
        )
        for currency, one in charges.items()
    )
    await session.flush()  # the next rating of this span in this transaction deletes these rows


async def peaks_before(
    session: AsyncSession, site_id: UUID, month: YearMonth
) -> dict[YearMonth, Decimal]:
    """Return the peaks of a site's earlier months, for ratchets."""
    rows = await session.execute(
        select(SiteCharge.starts_on, func.max(SiteCharge.peak_kw))
        .where(
            SiteCharge.site_id == site_id,
            SiteCharge.kind == "month",
            SiteCharge.starts_on < date(month.year, month.month, 1),
            SiteCharge.starts_on >= date(month.year - 2, month.month, 1),
        )
        .group_by(SiteCharge.starts_on)
    )
    return {YearMonth(on.year, on.month): peak for on, peak in rows}


async def keep_owners(session: AsyncSession, site: Site, rated: RatedDay, month: MonthSum) -> int:
    """Write and publish the clients' days that have changed; return how many."""
    known = {
        row.client_id: row
        for row in await session.execute(
            select(CostDay.client_id, CostDay.revision, CostDay.digest).where(
                CostDay.site_id == site.id, CostDay.day == rated.local.day
            )
        )
    }
    owners = {one.client_id: one for one in rated.owners}
    if not owners and not known and not any(one.service for one in rated.charges.values()):
        return 0
    # The operator's own day is always there, as it carries the site's charges; and a client whose
    # machines turn out to be another's is told that it has none.
    for client_id in {None, *known} - set(owners):
        owners[client_id] = nobody(client_id, len(rated.local.starts_s))
    rows: list[dict[str, Any]] = []
    for client_id, one in owners.items():
        found = known.get(client_id)
        event = _event(site, rated, one, month if client_id is None else None)
        digest = _digest(event, one)
        if found is None or bytes(found.digest) != digest:
            published = event.model_copy(update={"revision": (found.revision if found else 0) + 1})
            published = published.model_copy(update={"version": published.revision})
            rows.append(_day_row(rated, one, published, digest))
            session.add(Outbox.of(published))
    if rows:
        await _write_days(session, site, rows, owners)
    return len(rows)


async def _write_days(
    session: AsyncSession,
    site: Site,
    rows: Sequence[dict[str, Any]],
    owners: Mapping[UUID | None, OwnerDay],
) -> None:
    machines: dict[intake.RosterKey, Sequence[str]] = {}
    keys: dict[UUID | None, intake.RosterKey] = {}
    for row in rows:
        client_id: UUID | None = row["client_id"]
        names = [str(one) for one in owners[client_id].miner_ids]
        keys[client_id] = (site.id, client_id, intake.roster_digest(names))
        machines[keys[client_id]] = names
    rosters = await intake.rosters_of(session, site.organisation_id, machines)
    for row in rows:
        row["roster_id"] = rosters[keys[row["client_id"]]]
    statement = insert(CostDay)
    unique = ("site_id", "day", "client_id")
    new = {name: statement.excluded[name] for name in rows[0] if name not in unique}
    await session.execute(
        statement.on_conflict_do_update(
            index_elements=unique, set_={**new, "updated_at": func.now()}
        ),
        rows,
    )


def nobody(client_id: UUID | None, half_hours: int) -> OwnerDay:
    """Return the day of a client without machines."""
    none, hours = np.zeros(0, np.int64), np.zeros(half_hours, np.int64)
    return OwnerDay(
        client_id=client_id,
        miner_ids=[],
        machine_kwh_e6=none,
        machine_unrated_e6=none,
        machine_cost_nano=none,
        machine_th_h=np.zeros(0),
        machine_told=none,
        machine_unknown=none,
        half_hour_kwh_e6=hours,
        half_hour_cost_nano=hours,
        half_hour_th_h=np.zeros(half_hours),
        half_hour_machines=hours,
        half_hour_unknown=hours,
    )


def _event(site: Site, rated: RatedDay, one: OwnerDay, month: MonthSum | None) -> CostRated:
    last = next((reign for reign in reversed(rated.priced.reigns) if reign is not None), None)
    unrated = one.half_hour_cost_nano == UNRATED
    told = one.half_hour_machines > 0
    machines, unknown = int(one.half_hour_machines.sum()), int(one.half_hour_unknown.sum())
    currency = rated.currency
    service = rated.charges.get(currency or NO_CURRENCY, Charges()).service
    return CostRated(
        organisation_id=site.organisation_id,
        cost_id=f"{site.id}:{one.client_id or 'own'}:{rated.local.day}",
        site_id=site.id,
        client_id=one.client_id,
        day=rated.local.day,
        timezone=site.timezone,
        kwh=str(e6(one.half_hour_kwh_e6)),
        unrated_kwh=str(e6(one.half_hour_kwh_e6[unrated])),
        energy_cost=money(nano(one.half_hour_cost_nano[~unrated])) if last else None,
        currency=currency,
        service_charge=money(service) if month else money(Decimal(0)),
        month_charges=month.published(currency) if month else None,
        th_h=round(float(one.half_hour_th_h.sum()), 6),
        half_hours=len(told),
        told_half_hours=int(told.sum()),
        coverage_percent=(
            f"{Decimal(100 * (machines - unknown)) / machines:.4f}" if machines else None
        ),
        rate_id=last.rated.rate_id if last else None,
        rate_version=last.rated.version if last else None,
        rate_name=last.rated.name if last else None,
        split_half_hours=int((rated.split & told).sum()),
        revision=0,
        simulated=rated.simulated,
    )


def _digest(event: CostRated, one: OwnerDay) -> bytes:
    made = hashlib.sha256(event.model_dump_json().encode())
    for name in ("machine_kwh_e6", "machine_unrated_e6", "machine_cost_nano", "half_hour_kwh_e6",
                 "half_hour_cost_nano", "machine_told", "machine_unknown"):  # fmt: skip
        made.update(getattr(one, name).tobytes())
    made.update(",".join(str(miner) for miner in one.miner_ids).encode())
    return made.digest()


def _day_row(rated: RatedDay, one: OwnerDay, event: CostRated, digest: bytes) -> dict[str, Any]:
    unrated = one.half_hour_cost_nano == UNRATED
    return {
        "organisation_id": event.organisation_id,
        "client_id": one.client_id,
        "site_id": event.site_id,
        "day": event.day,
        "timezone": event.timezone,
        "starts_at": instant_of(int(rated.local.starts_s[0])),
        "ends_at": instant_of(int(rated.local.starts_s[-1]) + HALF_HOUR_S),
        "revision": event.revision,
        "digest": digest,
        "currency": event.currency,
        "rate_id": event.rate_id,
        "rate_version": event.rate_version,
        "rate_name": event.rate_name,
        "kwh": e6(one.half_hour_kwh_e6),
        "unrated_kwh": e6(one.half_hour_kwh_e6[unrated]),
        "energy_cost": nano(one.half_hour_cost_nano[~unrated]),
        "th_h": float(one.half_hour_th_h.sum()),
        "machine_half_hours": int(one.half_hour_machines.sum()),
        "unknown_half_hours": int(one.half_hour_unknown.sum()),
        "simulated": event.simulated,
        "machine_kwh_e6": pack(one.machine_kwh_e6, "<i8"),
        "machine_unrated_e6": pack(one.machine_unrated_e6, "<i8"),
        "machine_cost_nano": pack(one.machine_cost_nano, "<i8"),
        "machine_th_h": pack(one.machine_th_h, "<f8"),
        "machine_told": pack(one.machine_told, "<i2"),
        "machine_unknown": pack(one.machine_unknown, "<i2"),
        "half_hour_kwh_e6": pack(one.half_hour_kwh_e6, "<i8"),
        "half_hour_cost_nano": pack(one.half_hour_cost_nano, "<i8"),
        "half_hour_th_h": pack(one.half_hour_th_h, "<f8"),
        "half_hour_machines": pack(one.half_hour_machines, "<i4"),
        "half_hour_unknown": pack(one.half_hour_unknown, "<i4"),
        "half_hour_split": pack(rated.split & (one.half_hour_machines > 0), "|u1"),
    }
