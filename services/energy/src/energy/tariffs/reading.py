"""Questions about rates that other features ask: which one is in force, and what it says."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from energy.domain.schedule import IndexPrices
from energy.domain.tariff import Tariff
from energy.tariffs.models import IndexPrice, RateActivation, RateVersion
from energy.tariffs.places import Whereabouts, whereabouts
from energy.tariffs.terms import StoredTerms
from energy.tariffs.timeline import Chosen, Edition, Reign, Timeline

_MOST_READ_ONCE = 256


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a rate with its fields. What a bill depends on in it never changes."""

    rate_id: UUID
    version: int
    name: str
    terms: StoredTerms
    tariff: Tariff


_read_once: OrderedDict[Chosen, Version] = OrderedDict()
"""Versions by use, the latest last. Who may see one is decided before it is looked up here."""


@dataclass(frozen=True, slots=True)
class RatedTariff:
    """A version of a rate: what a bill names, and what it says."""

    rate_id: UUID
    version: int
    name: str
    tariff: Tariff
    index_series_id: UUID | None
    """Where the prices of an `index` rate are from."""


async def tariff_in_force(
    session: AsyncSession,
    *,
    site_id: UUID | None = None,
    location: str | None = None,
    at: datetime,
    organisation_id: UUID | None = None,
) -> RatedTariff | None:
    """Return what holds at a site or location at an instant, or None where no rate is active.

    With neither, it is the organisation's default. A session of the worker role must name the
    site or the organisation.
    """
    where = await whereabouts(
        session, site_id=site_id, location=location, organisation_id=organisation_id
    )
    chosen = (await timeline_of(session, where, at, at)).at(at)
    return (await _tariffs(session, [chosen])).get(chosen) if chosen is not None else None


async def tariffs_between(
    session: AsyncSession,
    *,
    site_id: UUID | None = None,
    location: str | None = None,
    start: datetime,
    end: datetime,
    organisation_id: UUID | None = None,
) -> list[tuple[datetime, datetime, RatedTariff]]:
    """Return the stretches of a span with what holds in each; where nothing does, none."""
    where = await whereabouts(
        session, site_id=site_id, location=location, organisation_id=organisation_id
    )
    line = await timeline_of(session, where, start, end)
    stretches = list(line.between(start, end))
    tariffs = await _tariffs(session, {chosen for _, _, chosen in stretches if chosen is not None})
    return [(since, until, tariffs[held]) for since, until, held in stretches if held is not None]


async def tariff_by_id(
    session: AsyncSession, rate_id: UUID, version: int | None = None
) -> RatedTariff | None:
    """Return a version of a rate, the newest if none is named; also of a removed rate."""
    query = select(RateVersion.version).where(RateVersion.rate_id == rate_id)
    if version is not None:
        query = query.where(RateVersion.version == version)
    found = await session.scalar(query.order_by(RateVersion.version.desc()).limit(1))
    if found is None:
        return None
    chosen = (rate_id, found)
    return (await _tariffs(session, [chosen]))[chosen]


async def timeline_of(
    session: AsyncSession, where: Whereabouts, start: datetime, end: datetime
) -> Timeline:
    """Return the activations at some places that decide a span, with the versions of their rates.

    Beside those that touch the span it is the first of each place, which also holds before it.
    """
    here = (
        RateActivation.organisation_id == where.organisation_id,
        RateActivation.place.in_(where.places),
    )
    firsts = (
        select(RateActivation.place, func.min(RateActivation.active_from))
        .where(*here)
        .group_by(RateActivation.place)
    )
    is_first = tuple_(RateActivation.place, RateActivation.active_from).in_(firsts)
    touching = and_(
        RateActivation.active_from <= end,
        or_(RateActivation.active_until.is_(None), RateActivation.active_until > start),
    )
    rows = await session.execute(
        select(
            RateActivation.place,
            RateActivation.rate_id,
            RateActivation.active_from,
            RateActivation.active_until,
            RateVersion.version,
            RateVersion.valid_from,
        )
        .join(RateVersion, RateVersion.rate_id == RateActivation.rate_id)
        .where(*here, or_(touching, is_first))
    )
    found = rows.all()
    reigns = dict.fromkeys(Reign(row[0], row[1], row[2], row[3]) for row in found)
    editions = dict.fromkeys(Edition(row[1], row[4], row[5]) for row in found)
    return Timeline(where.places, list(reigns), list(editions))


async def versions_chosen(session: AsyncSession, chosen: Iterable[Chosen]) -> dict[Chosen, Version]:
    """Return versions that the session has seen to be its own, read once by this process."""
    wanted = set(chosen)
    found = {key: _read_once[key] for key in wanted & _read_once.keys()}
    missing = list(wanted - found.keys())
    if missing:
        rows = await session.execute(
            select(
                RateVersion.rate_id, RateVersion.version, RateVersion.name, RateVersion.body
            ).where(tuple_(RateVersion.rate_id, RateVersion.version).in_(missing))
        )
        for row in rows:
            terms = StoredTerms.model_validate(row.body)
            version = Version(row.rate_id, row.version, row.name, terms, terms.tariff())
            found[row.rate_id, row.version] = version
    for key, version in found.items():
        _read_once[key] = version
        _read_once.move_to_end(key)
    while len(_read_once) > _MOST_READ_ONCE:
        _read_once.popitem(last=False)
    return found


async def _tariffs(session: AsyncSession, chosen: Iterable[Chosen]) -> dict[Chosen, RatedTariff]:
    found = await versions_chosen(session, chosen)
    return {
        key: RatedTariff(*key, one.name, one.tariff, one.terms.index_series_id)
        for key, one in found.items()
    }


async def index_prices(
    session: AsyncSession, series_id: UUID, start: datetime, end: datetime
) -> IndexPrices:
    """Return the prices that touch a span, in order and without overlap; gaps stay gaps."""
    before = (
        select(IndexPrice.starts_at)
        .where(IndexPrice.series_id == series_id, IndexPrice.starts_at <= start)
        .order_by(IndexPrice.starts_at.desc())
        .limit(1)
    )
    first = await session.scalar(before) or start
    rows = (
        await session.execute(
            select(IndexPrice.starts_at, IndexPrice.ends_at, IndexPrice.price_per_mwh)
            .where(
                IndexPrice.series_id == series_id,
                IndexPrice.starts_at >= first,
                IndexPrice.starts_at < end,
            )
            .order_by(IndexPrice.starts_at)
        )
    ).all()
    nexts: list[datetime | None] = [row.starts_at for row in rows[1:]]
    return IndexPrices.of(
        (row.starts_at, until, row.price_per_mwh)
        for row, following in zip(rows, [*nexts, None], strict=False)  # there may be no row
        if (until := _until(row.ends_at, following, end)) > start
    )


def _until(ends_at: datetime | None, following: datetime | None, end: datetime) -> datetime:
    """Return when a price ends: an open one lasts to the next, or as far as is asked."""
    if following is not None:
        return min(ends_at or following, following)
    return ends_at or end
