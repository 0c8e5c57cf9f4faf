"""HTTP of prices and bills: nothing that is asked here is stored."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from common.clock import now
from common.db import Session
from common.errors import problems
from energy.auth import TariffsReader
from energy.facts.reading import SiteUnknown
from energy.tariffs import asking, bills
from energy.tariffs.amounts import Moment, PowerW
from energy.tariffs.asking import NaiveTime, NoActiveRate
from energy.tariffs.bill_schemas import (
    BillView,
    Calculation,
    Comparison,
    ComparisonView,
    CoverageQuestion,
    CoverageView,
    CurrentRate,
)
from energy.tariffs.bills import LoadRefused
from energy.tariffs.checks import RateRefused, RateTooLarge, UnknownIndexSeries
from energy.tariffs.registry import RateNotFound

router = APIRouter(prefix="/api/electricity", tags=["electricity prices"])
_ID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_SOME_IDS = rf"^{_ID}(,{_ID}){{0,49}}$"
_INLINE = (RateRefused, RateTooLarge, UnknownIndexSeries, SiteUnknown)
_Location = Annotated[
    str | None, Query(min_length=1, max_length=128, description="A location, or a site's name")
]
_SiteId = Annotated[UUID | None, Query(description="A site")]
_RateId = Annotated[UUID | None, Query(description="A rate; the one in force if left out")]


@router.post(
    "/calculate",
    responses=problems(RateNotFound, NoActiveRate, NaiveTime, LoadRefused, *_INLINE),
)
async def calculate_cost(body: Calculation, session: Session, _: TariffsReader) -> BillView:
    """Say what a load would cost. Nothing is stored.

    The load is a constant `power_w` from `start_time` to `end_time`, or `intervals` of energy or
    mean power. The rate is a stored one by its id, the one in force now at a `location` or site
    (with neither, the organisation's default), or one sent along as `rate`.
    """
    return await bills.calculate(session, body)


@router.get("/current-rate", responses=problems(NoActiveRate, NaiveTime))
async def get_current_rate(
    session: Session,
    _: TariffsReader,
    *,
    location: _Location = None,
    site_id: _SiteId = None,
    timestamp: Annotated[
        Moment | None, Query(description="Now, if left out; without offset in the rate's zone")
    ] = None,
) -> CurrentRate:
    """Say what a kWh costs at a site or location, now or at an instant, and until when."""
    return await bills.price_now(session, site_id=site_id, location=location, timestamp=timestamp)


@router.get("/compare", responses=problems(RateNotFound, NoActiveRate, NaiveTime, LoadRefused))
async def compare_rates(
    session: Session,
    _: TariffsReader,
    *,
    power_w: Annotated[PowerW, Query(description="A constant power")],
    start_time: Annotated[Moment, Query(description="Start of what is billed")],
    end_time: Annotated[Moment, Query(description="End of what is billed")],
    rate_ids: Annotated[
        str | None, Query(pattern=_SOME_IDS, description="Rates, by commas; all if left out")
    ] = None,
) -> ComparisonView:
    """Compare what a constant power would cost under several rates, the cheapest first."""
    chosen = [UUID(one) for one in rate_ids.split(",")] if rate_ids else None
    wish = Comparison(power_w=power_w, start_time=start_time, end_time=end_time, rate_ids=chosen)
    return await bills.compare(session, wish)


@router.post(
    "/compare",
    responses=problems(RateNotFound, NoActiveRate, NaiveTime, LoadRefused, *_INLINE),
)
async def compare_rates_for_load(
    body: Comparison, session: Session, _: TariffsReader
) -> ComparisonView:
    """Compare what a load would cost under several rates, stored or sent along."""
    return await bills.compare(session, body)


@router.get("/coverage", responses=problems(RateNotFound, NoActiveRate))
async def get_coverage(
    session: Session,
    _: TariffsReader,
    *,
    rate_id: _RateId = None,
    location: _Location = None,
    site_id: _SiteId = None,
    year: Annotated[
        int | None, Query(ge=2000, le=2100, description="This year if left out")
    ] = None,
) -> CoverageView:
    """Show the hours of a year that a rate's schedule leaves out, and those that it names twice."""
    if rate_id is not None:
        asked = await asking.by_id(session, rate_id)
    else:
        asked = await asking.in_force(session, site_id=site_id, location=location)
    return await bills.covered(asked, year or now().year)


@router.post("/coverage", responses=problems(SiteUnknown))
async def get_coverage_of_draft(
    body: CoverageQuestion, session: Session, _: TariffsReader
) -> CoverageView:
    """Show the same for a rate that is sent along, also for one that would be refused for it."""
    return await bills.covered(await asking.drafted(session, body.rate), body.year)
