"""HTTP of costs: records, sums, trends, profit, and rating anew."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from common.db import Session
from common.errors import problems
from common.idempotency import IdempotencyKey, KeyReused, StillRunning, once
from energy.auth import CostsReader, CostsWriter
from energy.costs import manual, profit, records, rerating, summary, trends
from energy.costs.asking import (
    MOST_DAYS,
    MOST_DAYS_OF_PARTS,
    FiltersQuery,
    MinerUnclear,
    SpanRefused,
    question,
)
from energy.costs.manual import AlreadyRecorded, MinerUnknown, RecordRefused
from energy.costs.profit import By
from energy.costs.rerating import NothingToRate
from energy.costs.schemas import (
    CostList,
    PeriodProfits,
    ProfitAndLoss,
    Recorded,
    RecordOrder,
    RerateAccepted,
    RerateOrder,
    SiteComparison,
    Summary,
    Trends,
)
from energy.costs.trends import Interval
from energy.db import IdempotencyKey as IdempotencyKeyRow
from energy.facts.reading import SiteUnknown
from energy.tariffs.asking import NoActiveRate

router = APIRouter(prefix="/api/electricity", tags=["electricity costs"])
_ASKED = (SiteUnknown, SpanRefused, MinerUnclear)
Limit = Annotated[int, Query(ge=1, le=1000, description="At most 1,000")]
PageNumber = Annotated[int, Query(ge=1, le=100_000)]


@router.get("/costs", responses=problems(*_ASKED))
async def list_costs(
    filters: FiltersQuery,
    session: Session,
    caller: CostsReader,
    *,
    period: Annotated[
        str | None,
        Query(min_length=1, max_length=128, description="Only what lies in this tariff period"),
    ] = None,
    limit: Limit = 100,
    page: PageNumber = 1,
) -> CostList:
    """List records of costs, newest first; of the last thirty days if no dates are given.

    Without a machine or client they are of whole sites. A client sees its own machines only, and
    no charge of a site. Half-hours of a machine or client: at most 92 days.
    """
    narrow = filters.miner_id or filters.miner_ip or filters.client_id or caller.client_id
    most = MOST_DAYS_OF_PARTS if narrow else MOST_DAYS
    asked = await question(session, caller, filters, most_days=most)
    return await records.list_costs(session, asked, period=period, limit=limit, page=page)


@router.get("/costs/summary", responses=problems(*_ASKED))
async def summarise_costs(filters: FiltersQuery, session: Session, caller: CostsReader) -> Summary:
    """Sum costs up; of the last thirty days if no dates are given.

    Daily and monthly cost are those of what was recorded (`estimate_basis` says so); where nothing
    was, what the active machines cost at their rated power. Both stand beside each other in
    `estimate`.
    """
    return await summary.summarise(session, await question(session, caller, filters))


@router.get("/costs/compare-sites", responses=problems(*_ASKED))
async def compare_sites(
    filters: FiltersQuery, session: Session, caller: CostsReader
) -> SiteComparison:
    """Set sites beside each other, the cheapest energy first."""
    return await trends.compare_sites(session, await question(session, caller, filters))


@router.post(
    "/record-costs",
    status_code=201,
    response_model=Recorded,
    responses=problems(
        RecordRefused, SiteUnknown, MinerUnknown, MinerUnclear, NoActiveRate, AlreadyRecorded,
        KeyReused, StillRunning,
    ),
)  # fmt: skip
async def record_costs(
    body: RecordOrder, session: Session, caller: CostsWriter, key: IdempotencyKey = None
) -> Recorded | Response:
    """Record by hand what was used in an interval, at the tariff in force at its start.

    The same interval again changes nothing. Telemetry's half-hours count before records by hand.
    A record costs what it adds to its month's tiers; `notes` say which charges are not in it.
    """

    async def run() -> Recorded:
        return await manual.record(session, caller, body)

    return await once(
        session, IdempotencyKeyRow, caller, route="record-costs", key=key, body=body, status=201,
        run=run,
    )  # fmt: skip


@router.get("/trends", responses=problems(*_ASKED))
async def get_trends(
    filters: FiltersQuery,
    session: Session,
    caller: CostsReader,
    *,
    interval: Interval = "day",
    compare: Annotated[
        Literal["previous_year"] | None, Query(description="Beside the same time a year before")
    ] = None,
) -> Trends:
    """Return costs by local day, month or season (winter is December to February)."""
    asked = await question(session, caller, filters)
    return await trends.trends(session, asked, interval, compare)


@router.get("/profit-by-period", responses=problems(*_ASKED))
async def get_profit_by_period(
    filters: FiltersQuery, session: Session, caller: CostsReader
) -> PeriodProfits:
    """Return what energy cost in each period of the tariff, and what was mined with it."""
    asked = await question(session, caller, filters, most_days=MOST_DAYS_OF_PARTS)
    return await profit.profit_by_period(session, asked)


@router.get("/profit-and-loss", responses=problems(*_ASKED))
async def get_profit_and_loss(
    filters: FiltersQuery,
    session: Session,
    caller: CostsReader,
    *,
    by: By = "site",
    limit: Limit = 100,
    page: PageNumber = 1,
) -> ProfitAndLoss:
    """Return profit and loss in USD by machine, client or site, the most profitable first.

    Hashes are worth the quote of their day. What is not known is null and said in the notes.
    """
    asked = await question(session, caller, filters, most_days=MOST_DAYS_OF_PARTS)
    return await profit.profit_and_loss(session, asked, by, page=page, limit=limit)


@router.post("/rerate", status_code=202, responses=problems(SiteUnknown, NothingToRate))
async def rerate_costs(body: RerateOrder, session: Session, caller: CostsWriter) -> RerateAccepted:
    """Rate recorded days anew by the tariffs that now count; a job does it.

    Costs follow changed tariffs by themselves within moments; this is for certainty.
    """
    return await rerating.order(session, caller, body)
