"""HTTP of the rates: document 003's paths, fields and envelope."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from common.db import Session
from common.errors import problems
from common.idempotency import IdempotencyKey, once
from energy.auth import TariffsReader, TariffsWriter
from energy.db import IdempotencyKey as Keys
from energy.facts.reading import SiteUnknown
from energy.tariffs import defaults, registry
from energy.tariffs.checks import InFuture, RateRefused, RateTooLarge, UnknownIndexSeries
from energy.tariffs.publishing import view_of
from energy.tariffs.registry import RateNotFound
from energy.tariffs.schemas import (
    Activation,
    DefaultRates,
    NewRate,
    RateAnswer,
    RateChange,
    RateList,
    RateRemoved,
    VersionList,
)

router = APIRouter(prefix="/api/electricity", tags=["electricity rates"])
_REFUSALS = (RateRefused, RateTooLarge, InFuture, UnknownIndexSeries, SiteUnknown)


@router.get("/rates")
async def list_rates(
    session: Session,
    _: TariffsReader,
    *,
    active_only: Annotated[bool, Query(description="Only rates in force")] = False,
    location: Annotated[str | None, Query(max_length=128, description="A location's")] = None,
    site_id: Annotated[UUID | None, Query(description="A site's")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 200,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="After so many")] = 0,
) -> RateList:
    """List the rates, those in force first."""
    found = await registry.list_rates(
        session,
        active_only=active_only,
        location=location,
        site_id=site_id,
        limit=limit,
        offset=offset,
    )
    return RateList(**found)


@router.post("/rates", status_code=201, responses=problems(*_REFUSALS), response_model=RateAnswer)
async def create_rate(
    body: NewRate, session: Session, principal: TariffsWriter, key: IdempotencyKey = None
) -> RateAnswer | Response:
    """Store a rate.

    It is in force at once where `active` is true, or left out and nothing else is in force at its
    site or location; what was in force there no longer is.
    """

    async def run() -> RateAnswer:
        return RateAnswer(rate=await registry.create_rate(session, principal, body))

    return await once(
        session, Keys, principal, route="create_rate", key=key, body=body, status=201, run=run
    )


@router.get("/rates/{rate_id}", responses=problems(RateNotFound))
async def get_rate(rate_id: UUID, session: Session, _: TariffsReader) -> RateAnswer:
    """Show a rate as its newest version says."""
    return RateAnswer(rate=view_of(await registry.rate_of(session, rate_id)))


@router.put("/rates/{rate_id}", responses=problems(RateNotFound, *_REFUSALS))
async def change_rate(
    rate_id: UUID, body: RateChange, session: Session, principal: TariffsWriter
) -> RateAnswer:
    """Give a rate a new version, in force from now or from `valid_from` on.

    Fields that are left out stay as they are. What was billed by earlier versions keeps them.
    Description, notes, utility's name and account's number are text that no bill depends on:
    where nothing else changes, the version stays and says the new text.
    """
    return RateAnswer(rate=await registry.change_rate(session, principal, rate_id, body))


@router.delete("/rates/{rate_id}", responses=problems(RateNotFound))
async def remove_rate(rate_id: UUID, session: Session, principal: TariffsWriter) -> RateRemoved:
    """Take a rate out of use. Costs that name it keep its name, and its versions can be read."""
    await registry.remove_rate(session, principal, rate_id)
    return RateRemoved(id=rate_id)


@router.get("/rates/{rate_id}/versions", responses=problems(RateNotFound))
async def list_rate_versions(
    rate_id: UUID,
    session: Session,
    _: TariffsReader,
    *,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 200,
    offset: Annotated[int, Query(ge=0, le=1_000_000, description="After so many")] = 0,
) -> VersionList:
    """List the versions of a rate, newest first; of a removed rate as well."""
    found, total = await registry.versions_of(session, rate_id, limit=limit, offset=offset)
    return VersionList(id=rate_id, versions=found, count=len(found), total=total)


@router.post("/rates/{rate_id}/activate", responses=problems(RateNotFound, InFuture))
async def activate_rate(
    rate_id: UUID, session: Session, principal: TariffsWriter, body: Activation | None = None
) -> RateAnswer:
    """Put a rate in force; what was in force at its site or location no longer is."""
    wish = body or Activation()
    return RateAnswer(rate=await registry.activate_rate(session, principal, rate_id, wish))


@router.post("/rates/{rate_id}/deactivate", responses=problems(RateNotFound))
async def deactivate_rate(rate_id: UUID, session: Session, principal: TariffsWriter) -> RateAnswer:
    """Put a rate out of force."""
    return RateAnswer(rate=await registry.deactivate_rate(session, principal, rate_id))


@router.post("/initialize")
async def create_default_rates(session: Session, principal: TariffsWriter) -> DefaultRates:
    """Create the rates to begin with, a flat and a time-of-use one; those that exist stay."""
    return await defaults.create_defaults(session, principal)
