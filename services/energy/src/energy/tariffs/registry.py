"""The registry of rates: creating, changing, removing, and what it holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import NotFound
from common.ids import new_id
from energy.tariffs.activation import (
    is_vacant,
    one_at_a_time,
    put_in_force,
    put_out_of_force,
)
from energy.tariffs.checks import checked, past_of, resolved
from energy.tariffs.models import ElectricityRate, RateVersion
from energy.tariffs.places import is_folded, place_of
from energy.tariffs.publishing import announce, note, view_of
from energy.tariffs.schemas import Activation, NewRate, RateChange, RateView, VersionView
from energy.tariffs.terms import RateFields, StoredTerms

_COLUMNS = (
    "name", "description", "location", "site_id", "timezone", "rate_type",
    "flat_rate_usd_per_kwh", "utility_name", "account_number", "season_start_month",
    "season_end_month", "notes", "currency",
)  # fmt: skip
_JSON_COLUMNS = ("tou_schedule", "tiered_rates")
_ZERO_COLUMNS = ("daily_service_charge_usd", "demand_charge_usd_per_kw")
_TEXT = frozenset({"description", "utility_name", "account_number", "notes"})
"""Fields that no bill depends on. The name is none of them: a bill says it as it was."""
_OF_A_TYPE = {
    "flat": {"flat_rate_usd_per_kwh"},
    "tou": {"tou_schedule", "flat_rate_usd_per_kwh", "season_start_month", "season_end_month"},
    "tiered": {"tiered_rates"},
    "index": {"index_series_id", "adder_usd_per_kwh"},
}
"""Fields that only some types have: another type's are dropped when the type changes."""


class RateNotFound(NotFound):
    title: ClassVar[str] = "No such rate"


async def rate_of(
    session: AsyncSession, rate_id: UUID, *, for_update: bool = False
) -> ElectricityRate:
    """Return a rate of the caller's organisation.

    Raises:
        RateNotFound: there is none, or it was removed.
    """
    query = select(ElectricityRate).where(
        ElectricityRate.id == rate_id, ElectricityRate.removed_at.is_(None)
    )
    rate = await session.scalar(query.with_for_update() if for_update else query)
    if rate is None:
        raise RateNotFound(f"There is no rate {rate_id}.", field="rate_id")
    return rate


async def rates_of(session: AsyncSession, rate_ids: Sequence[UUID]) -> list[ElectricityRate]:
    """Return rates of the caller's organisation, each once, in the order of their ids given.

    Raises:
        RateNotFound: there is none of an id, or it was removed.
    """
    rows = await session.scalars(
        select(ElectricityRate).where(
            ElectricityRate.id.in_(rate_ids), ElectricityRate.removed_at.is_(None)
        )
    )
    found = {rate.id: rate for rate in rows}
    for rate_id in rate_ids:
        if rate_id not in found:
            raise RateNotFound(f"There is no rate {rate_id}.", field="rate_ids")
    return [found[rate_id] for rate_id in dict.fromkeys(rate_ids)]


async def list_rates(
    session: AsyncSession,
    *,
    active_only: bool,
    location: str | None,
    site_id: UUID | None,
    limit: int,
    offset: int,
) -> dict[str, Any]:
    """Return rates, the active ones first."""
    query = select(ElectricityRate).where(ElectricityRate.removed_at.is_(None))
    if active_only:
        query = query.where(ElectricityRate.active)
    if location is not None:
        written = is_folded(ElectricityRate.location, location)
        here = place_of(None, location)
        query = query.where(or_(written, ElectricityRate.place == here) if here else written)
    if site_id is not None:
        query = query.where(ElectricityRate.site_id == site_id)
    total = await session.scalar(select(func.count()).select_from(query.subquery()))
    order = (ElectricityRate.active.desc(), func.lower(ElectricityRate.name), ElectricityRate.id)
    rows = await session.scalars(query.order_by(*order).limit(limit).offset(offset))
    rates = [view_of(row) for row in rows]
    return {"rates": rates, "count": len(rates), "total": total or 0}


async def create_rate(session: AsyncSession, principal: Principal, body: NewRate) -> RateView:
    """Store a rate, and put it in force where it says so or nothing else is."""
    # Before the checks: the index series that they find must not be removed meanwhile.
    await one_at_a_time(session, principal.organisation_id)
    terms = await checked(session, await resolved(session, body))
    since = past_of(body.valid_from, terms.zone())
    rate = _new_row(principal, terms, since)
    session.add(rate)
    await session.flush()  # its version refers to it
    session.add(_version(rate, principal))
    vacant = body.active is None and await is_vacant(session, rate.organisation_id, rate.place)
    if body.active or vacant:
        await put_in_force(session, rate, since)
    await session.flush()
    announce(session, rate)
    await note(session, principal, "rate.create", rate.id, name=rate.name, active=rate.active)
    return view_of(rate)


async def change_rate(
    session: AsyncSession, principal: Principal, rate_id: UUID, body: RateChange
) -> RateView:
    """Change a rate. What a bill depends on gets a new version; what was billed stays as it was."""
    await one_at_a_time(session, principal.organisation_id)
    rate = await rate_of(session, rate_id, for_update=True)
    terms = await checked(session, await resolved(session, _merged(rate, body)))
    since = past_of(body.valid_from, terms.zone())
    restated = body.valid_from is not None and since != rate.valid_from
    was_active, was = rate.active, rate.body
    wanted = was_active if body.active is None else body.active
    if was_active and (not wanted or rate.place != place_of(terms.site_id, terms.location)):
        await put_out_of_force(session, rate)
    _write(rate, terms)
    if restated or _billed(rate.body) != _billed(was):
        rate.rate_version += 1
        rate.valid_from = since
        session.add(_version(rate, principal))
    elif rate.body != was:
        newest = await session.get_one(RateVersion, (rate.id, rate.rate_version))
        newest.body = rate.body
    if wanted and not rate.active:
        await put_in_force(session, rate, now())
    if restated or rate.body != was or was_active != rate.active:
        rate.revision += 1
        rate.updated_at = now()
        await session.flush()  # its event comes after it
        announce(session, rate)
        fields = sorted(body.model_fields_set)
        version = rate.rate_version
        await note(session, principal, "rate.change", rate.id, version=version, fields=fields)
    return view_of(rate)


def _billed(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a bill by these fields depends on."""
    return {name: value for name, value in body.items() if name not in _TEXT}


async def remove_rate(session: AsyncSession, principal: Principal, rate_id: UUID) -> None:
    """Take a rate out of use. Its versions stay: what was billed by it can still be explained."""
    await one_at_a_time(session, principal.organisation_id)
    rate = await rate_of(session, rate_id, for_update=True)
    await put_out_of_force(session, rate)
    rate.removed_at = rate.updated_at = now()
    rate.revision += 1
    await session.flush()  # its event comes after it
    announce(session, rate)
    await note(session, principal, "rate.remove", rate.id, name=rate.name)


async def activate_rate(
    session: AsyncSession, principal: Principal, rate_id: UUID, wish: Activation
) -> RateView:
    """Put a rate in force; what was in force at its place no longer is."""
    await one_at_a_time(session, principal.organisation_id)
    rate = await rate_of(session, rate_id, for_update=True)
    since = past_of(wish.valid_from, rate.timezone)
    if await put_in_force(session, rate, since):
        announce(session, rate)
        await note(session, principal, "rate.activate", rate.id, name=rate.name, since=since)
    return view_of(rate)


async def deactivate_rate(session: AsyncSession, principal: Principal, rate_id: UUID) -> RateView:
    """Put a rate out of force."""
    await one_at_a_time(session, principal.organisation_id)
    rate = await rate_of(session, rate_id, for_update=True)
    if await put_out_of_force(session, rate):
        announce(session, rate)
        await note(session, principal, "rate.deactivate", rate.id, name=rate.name)
    return view_of(rate)


async def versions_of(
    session: AsyncSession, rate_id: UUID, *, limit: int, offset: int
) -> tuple[list[VersionView], int]:
    """Return versions of a rate, newest first, and how many there are; of a removed one as well.

    Raises:
        RateNotFound: there has never been one of this id.
    """
    total = await session.scalar(
        select(func.count()).select_from(RateVersion).where(RateVersion.rate_id == rate_id)
    )
    if not total:
        raise RateNotFound(f"There is no rate {rate_id}.", field="rate_id")
    rows = await session.scalars(
        select(RateVersion)
        .where(RateVersion.rate_id == rate_id)
        .order_by(RateVersion.version.desc())
        .limit(limit)
        .offset(offset)
    )
    found = [
        VersionView.model_validate(
            row.body
            | {
                "version": row.version,
                "version_from": row.valid_from,
                "created_at": row.created_at,
                "created_by": row.created_by,
            }
        )
        for row in rows
    ]
    return found, total


def _merged(rate: ElectricityRate, body: RateChange) -> RateFields:
    """Return the fields of a rate with those that are sent; an inherited zone is asked anew."""
    sent = body.model_dump(
        mode="json", include=body.model_fields_set & set(RateFields.model_fields)
    )
    fields = dict(rate.body)
    if fields.pop("timezone_from") != "rate":
        fields["timezone"] = None
    if sent.get("rate_type", rate.rate_type) != rate.rate_type:
        for name in set[str]().union(*_OF_A_TYPE.values()) - _OF_A_TYPE[sent["rate_type"]]:
            fields[name] = None
    return RateFields.model_validate(fields | sent)


def _new_row(principal: Principal, terms: StoredTerms, since: datetime) -> ElectricityRate:
    present = now()
    rate = ElectricityRate(
        id=new_id(),
        organisation_id=principal.organisation_id,
        active=False,
        rate_version=1,
        valid_from=since,
        revision=1,
        created_at=present,
        updated_at=present,
        removed_at=None,
        announced_at=None,
        announced_mean=None,
    )
    _write(rate, terms)
    return rate


def _write(rate: ElectricityRate, terms: StoredTerms) -> None:
    """Write what a rate says: all fields, and those of the document in columns of their own."""
    rate.body = terms.model_dump(mode="json")
    rate.place = place_of(terms.site_id, terms.location)
    for name in _COLUMNS:
        setattr(rate, name, getattr(terms, name))
    for name in _JSON_COLUMNS:
        setattr(rate, name, rate.body[name])
    for name in _ZERO_COLUMNS:
        setattr(rate, name, getattr(terms, name) or 0)


def _version(rate: ElectricityRate, principal: Principal) -> RateVersion:
    return RateVersion(
        organisation_id=rate.organisation_id,
        rate_id=rate.id,
        version=rate.rate_version,
        valid_from=rate.valid_from,
        name=rate.name,
        body=rate.body,
        created_at=now(),
        created_by=principal.subject,
    )
