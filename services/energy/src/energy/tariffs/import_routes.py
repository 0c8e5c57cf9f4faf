"""HTTP of importing and exporting rates."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from common.db import Session
from common.errors import Invalid, problems
from common.idempotency import IdempotencyKey, once
from energy.auth import TariffsReader, TariffsWriter
from energy.db import IdempotencyKey as Keys
from energy.facts.reading import SiteUnknown
from energy.tariffs import imports
from energy.tariffs.checks import InFuture, RateRefused, RateTooLarge, UnknownIndexSeries
from energy.tariffs.import_schemas import ImportRequest, ImportResult, RateExport
from energy.tariffs.imports import NotAnIndexRate
from energy.tariffs.index_series import PricesOverlap
from energy.tariffs.octopus import UnitRatesRefused
from energy.tariffs.registry import RateNotFound
from energy.tariffs.urdb_document import DocumentRefused

router = APIRouter(prefix="/api/electricity/rates", tags=["electricity rates"])


@router.post(
    "/import",
    status_code=201,
    response_model=ImportResult,
    responses=problems(
        Invalid, DocumentRefused, UnitRatesRefused, PricesOverlap, NotAnIndexRate, RateRefused,
        RateTooLarge, InFuture, UnknownIndexSeries, SiteUnknown, RateNotFound,
    ),
)  # fmt: skip
async def import_rate(
    body: ImportRequest, session: Session, principal: TariffsWriter, key: IdempotencyKey = None
) -> ImportResult | Response:
    """Store the rate of a document in another format.

    A unit or a charge of the document that is not known here is refused by its name: it would be
    missing from every bill.
    """

    async def run() -> ImportResult:
        return await imports.take_in(session, principal, body)

    return await once(
        session, Keys, principal, route="import_rate", key=key, body=body, status=201, run=run
    )


@router.get("/{rate_id}/export", responses=problems(RateNotFound))
async def export_rate(
    rate_id: UUID,
    session: Session,
    response: Response,
    _: TariffsReader,
    *,
    version: Annotated[
        int | None, Query(ge=1, le=1_000_000, description="The newest if left out")
    ] = None,
) -> RateExport:
    """Give out a version of a rate as JSON, as it can be imported (`format: hashyard`)."""
    response.headers["Content-Disposition"] = f'attachment; filename="rate-{rate_id}.json"'
    return await imports.give_out(session, rate_id, version)
