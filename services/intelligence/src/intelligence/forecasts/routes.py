"""HTTP of the forecasts."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict, cast
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request

from common.db import Session
from common.errors import Invalid, NotFound, problems
from intelligence.auth import ForecastsReader
from intelligence.domain.forecast_load import MOST_HOURS
from intelligence.forecasts import answers
from intelligence.forecasts.answers import (
    ForecastBusy,
    ForecastFailed,
    ForecastTooSlow,
    NotFittedYet,
)
from intelligence.forecasts.fitting import FittingProcess, fitting_process
from intelligence.forecasts.histories import TooFewPoints
from intelligence.forecasts.schemas import ForecastAnswer, OwnSeries
from intelligence.settings import Settings


class _State(TypedDict):
    fitting: FittingProcess


@asynccontextmanager
async def _fitting(app: FastAPI) -> AsyncGenerator[_State]:
    settings = cast("Settings", app.state.runtime.settings)
    async with fitting_process(settings.forecast_limit_seconds) as process:
        yield {"fitting": process}


router = APIRouter(prefix="/api/intelligence/forecasts", tags=["forecasts"], lifespan=_fitting)


def _process(request: Request) -> FittingProcess:
    return cast("FittingProcess", request.state.fitting)


Days = Annotated[int, Query(ge=1, le=365, description="Days to look ahead")]


@router.get("/btc-price", responses=problems(TooFewPoints, NotFittedYet))
async def show_price_forecast(
    session: Session, _: ForecastsReader, days: Days = 30
) -> ForecastAnswer:
    """Show the forecast of bitcoin's price: ARIMA(5,1,0) on the log of 90 daily closes.

    Fitted once a day in a process of its own, and served from storage with its age. Beside it the
    baseline that nothing changes, with the past errors of both and how often their bands held:
    the band, not the line, is what such a forecast can say.
    """
    return await answers.price(session, days)


@router.post(
    "/btc-price",
    responses=problems(TooFewPoints, Invalid, ForecastBusy, ForecastFailed, ForecastTooSlow),
)
async def forecast_own_series(
    body: OwnSeries, process: Annotated[FittingProcess, Depends(_process)], _: ForecastsReader
) -> ForecastAnswer:
    """Forecast a daily series of your own in the same way; nothing of it is stored.

    60 points at least; with fewer than 90 the answer says so. The first call after a quiet time
    waits some seconds for the fitting process to start.
    """
    return await answers.own_price(process, body)


@router.get("/difficulty", responses=problems(TooFewPoints, NotFittedYet))
async def show_difficulty_forecast(
    session: Session,
    _: ForecastsReader,
    epochs: Annotated[int, Query(ge=1, le=26, description="Epochs to look ahead")] = 6,
) -> ForecastAnswer:
    """Show the forecast of the next epochs' difficulty: a random walk with last year's drift.

    It knows nothing of machines on order, and does not use the running epoch's progress; its
    measured errors and coverage stand beside it. Times follow the past year's mean epoch length.
    """
    return await answers.difficulty(session, epochs)


@router.get("/site-load", responses=problems(NotFound, TooFewPoints, NotFittedYet))
async def show_load_forecast(
    session: Session,
    principal: ForecastsReader,
    site_id: UUID,
    hours: Annotated[int, Query(ge=1, le=MOST_HOURS, description="Hours to look ahead")] = 48,
) -> ForecastAnswer:
    """Show the forecast of a site's load in kW, half-hour by half-hour, from its own past.

    Whichever of three methods did best in the past is used: the last value, the same local
    half-hour a week before, the mean of it over seven days. Needs 14 days of half-hours. Its
    percentage error is the sum of errors over the sum of load.
    """
    return await answers.site_load(session, principal, site_id, hours)
