"""Taking rates in from elsewhere, and giving them out."""

import asyncio
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.errors import Invalid
from energy.tariffs import index_series, octopus, registry, urdb
from energy.tariffs.activation import one_at_a_time
from energy.tariffs.import_schemas import EXPORT_FORMAT, ImportRequest, ImportResult, RateExport
from energy.tariffs.index_schemas import SeriesView
from energy.tariffs.index_series import Price
from energy.tariffs.models import IndexSeries, RateVersion
from energy.tariffs.parts import read_part
from energy.tariffs.publishing import note, view_of
from energy.tariffs.registry import RateNotFound
from energy.tariffs.schemas import NewRate, RateView
from energy.tariffs.terms import RateFields
from energy.tariffs.urdb_document import UrdbRate, lower_names, only_rate

_OVERRIDES = (
    "name", "location", "site_id", "active", "valid_from", "timezone", "daily_service_charge_usd",
)  # fmt: skip


class NotAnIndexRate(Invalid):
    title: ClassVar[str] = "The rate has no index series"


@dataclass(frozen=True, slots=True)
class _Taken:
    rate: RateView
    warnings: list[str]
    series: SeriesView | None = None


async def take_in(session: AsyncSession, principal: Principal, wish: ImportRequest) -> ImportResult:
    """Store the rate of a document."""
    # Before the first audit line: a rate that is created locks the rates first, then the trail.
    await one_at_a_time(session, principal.organisation_id)
    if wish.format == "urdb":
        taken = await _urdb(session, principal, wish)
    elif wish.format == "octopus":
        taken = await _octopus(session, principal, wish)
    else:
        taken = await _own(session, principal, wish)
    rate = taken.rate
    await note(session, principal, "rate.import", rate.id, name=rate.name, format=wish.format)
    return ImportResult(rate=rate, warnings=taken.warnings, series=taken.series)


async def _urdb(session: AsyncSession, principal: Principal, wish: ImportRequest) -> _Taken:
    document = lower_names(only_rate(wish.document))
    read = read_part(UrdbRate.model_validate, document, "document")
    made = _new_rate(urdb.read(read, document), wish)
    return _Taken(await registry.create_rate(session, principal, made), urdb.warnings(read))


async def _octopus(session: AsyncSession, principal: Principal, wish: ImportRequest) -> _Taken:
    # Twenty thousand of them take their time: others are answered meanwhile.
    page, prices = await asyncio.to_thread(_unit_rates, wish)
    warnings = ["The document is one page of several; import the others too."] if page.next else []
    if wish.rate_id is not None:
        row = await registry.rate_of(session, wish.rate_id)
        series = await _series_of_rate(session, row.body["index_series_id"])
        rate = view_of(row)
    else:
        fields = octopus.fields_of(wish.name, prices[0].starts_at)
        series = await index_series.new_series(
            session,
            principal,
            name=fields["name"],
            currency=octopus.CURRENCY,
            source="octopus",
            text=f"VAT {wish.vat}",
        )
        body = _new_rate(fields | {"index_series_id": series.id}, wish)
        rate = await registry.create_rate(session, principal, body)
    await index_series.add_prices(session, principal, series, prices)
    return _Taken(rate, warnings, await index_series.view_of(session, series))


def _unit_rates(wish: ImportRequest) -> tuple[octopus.UnitRates, list[Price]]:
    given = octopus.page_of(wish.document)
    page = read_part(octopus.UnitRates.model_validate, given, "document")
    return page, octopus.prices_of(page, vat=wish.vat, payment_method=wish.payment_method)


async def _series_of_rate(session: AsyncSession, series_id: str | None) -> IndexSeries:
    if series_id is None:
        raise NotAnIndexRate("Only a rate with an index series takes unit rates.", field="rate_id")
    series = await index_series.series_of(session, UUID(series_id))
    if series.currency != octopus.CURRENCY:
        raise NotAnIndexRate(f"Its series is in {series.currency}, not in GBP.", field="rate_id")
    return series


async def _own(session: AsyncSession, principal: Principal, wish: ImportRequest) -> _Taken:
    document: Any = wish.document
    given: Any = document
    if isinstance(document, dict):
        given = cast("dict[str, Any]", document).get("rate", cast("object", document))
    if not isinstance(given, dict):
        raise Invalid("The document is not an exported rate.", field="document")
    rate = await registry.create_rate(
        session, principal, _new_rate(cast("dict[str, Any]", given), wish)
    )
    return _Taken(rate, [])


def _new_rate(fields: dict[str, Any], wish: ImportRequest) -> NewRate:
    """Return the rate to be stored: what the request says comes before the document."""
    said = {name: getattr(wish, name) for name in _OVERRIDES}
    over = {name: value for name, value in said.items() if value is not None}
    return read_part(NewRate.model_validate, fields | over, "document")


async def give_out(session: AsyncSession, rate_id: UUID, version: int | None) -> RateExport:
    """Return a version of a rate as a document that can be imported.

    Raises:
        RateNotFound: there is none.
    """
    query = select(RateVersion).where(RateVersion.rate_id == rate_id)
    if version is not None:
        query = query.where(RateVersion.version == version)
    row = await session.scalar(query.order_by(RateVersion.version.desc()).limit(1))
    if row is None:
        raise RateNotFound(f"There is no rate {rate_id} of this version.", field="rate_id")
    fields = {name: row.body[name] for name in RateFields.model_fields if name in row.body}
    return RateExport(
        format=EXPORT_FORMAT,
        rate_id=row.rate_id,
        version=row.version,
        version_from=row.valid_from,
        rate=RateFields.model_validate(fields),
    )
