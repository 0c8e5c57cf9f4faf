"""Fits forecasts whenever there is something new to fit them to."""

import asyncio
from collections.abc import Awaitable
from typing import Final, cast

from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.runtime import Runtime
from intelligence.domain.forecast_difficulty import forecast_difficulty
from intelligence.domain.forecast_load import MOST_HOURS, LoadBand, forecast_load
from intelligence.forecasts.events import SeriesName
from intelligence.forecasts.fitted import (
    BASELINE,
    MODEL,
    Columns,
    Fitted,
    accuracy_of,
    fitted_of,
    rounded,
)
from intelligence.forecasts.fitting import (
    FitBusy,
    FitFailure,
    FitTimeout,
    FittingProcess,
    fitting_process,
)
from intelligence.forecasts.histories import (
    History,
    TooFewPoints,
    difficulty_history,
    load_history,
    price_history,
    sites,
    zone_of,
)
from intelligence.forecasts.keeping import is_news, keep, newest, newest_origins, prune
from intelligence.forecasts.price import PriceTask
from intelligence.insights import ledger
from intelligence.insights.models import Site
from intelligence.settings import Settings

log = get_logger()
PRICE_DAYS: Final = 365
DIFFICULTY_EPOCHS: Final = 26
LOAD_HALF_HOURS: Final = 2 * MOST_HOURS
_ORIGINS: Final = 250
LIMIT_S: Final = 120.0
_LOAD_EVERY_S: Final = 3600


async def keep_forecasts(runtime: Runtime) -> None:
    """Look for new data and fit, for ever: the background task."""
    settings = cast("Settings", runtime.settings)
    async with fitting_process(LIMIT_S) as process:
        while True:
            await refresh(runtime, process)
            await asyncio.sleep(settings.forecast_check_seconds)


async def refresh(runtime: Runtime, process: FittingProcess) -> int:
    """Fit what has new data; return how many forecasts were stored."""
    count = await _alone("btc-price", fit_price(runtime, process))
    count += await _alone("difficulty", fit_difficulty(runtime))
    count += await _alone("site-load", fit_loads(runtime))
    async with runtime.worker_session() as session:
        await prune(session)
        await ledger.prune(session)
    return count


async def _alone(series: SeriesName, fit: Awaitable[int]) -> int:
    """Await one of the fits; what fails must not take the others along."""
    try:
        return await fit
    except TooFewPoints as problem:
        log.debug("forecast.too_few_points", series=series, reason=problem.detail)
    except (FitBusy, FitFailure, FitTimeout) as error:
        log.warning("forecast.not_fitted", series=series, error=repr(error))
    return 0


async def fit_price(runtime: Runtime, process: FittingProcess) -> int:
    """Forecast the price from a new daily close."""
    async with runtime.worker_session() as session:
        history = await price_history(session)
        if not await _is_new(session, history):
            return 0
    task = PriceTask(values=history.values.tolist(), days=PRICE_DAYS, origins=_ORIGINS)
    fitted = await process.fit(task)
    return await _store(runtime, history, fitted)


async def fit_difficulty(runtime: Runtime) -> int:
    """Forecast the difficulty when an epoch has begun."""
    async with runtime.worker_session() as session:
        history = await difficulty_history(session)
        if not await _is_new(session, history):
            return 0
    values = history.values.tolist()
    found = forecast_difficulty(values, DIFFICULTY_EPOCHS, names=(MODEL, BASELINE))
    fitted = fitted_of(found.band, found.baseline, found.measured, points=found.used, warnings=[])
    return await _store(runtime, history, fitted)


async def fit_loads(runtime: Runtime) -> int:
    """Forecast the load of every site that has news of at least an hour."""
    async with runtime.worker_session() as session:
        waiting = await sites(session)
        origins = await newest_origins(session, "site-load")
    count = 0
    for site in waiting:
        try:
            async with runtime.worker_session() as session:
                history = await load_history(session, site)
        except TooFewPoints as problem:
            log.debug("forecast.too_few_points", site_id=str(site.id), reason=problem.detail)
            continue
        known = origins.get(str(site.id))
        if known and (history.origin.at - known).total_seconds() < _LOAD_EVERY_S:
            continue
        fitted = await asyncio.to_thread(fit_load, history, site)
        count += await _store(runtime, history, fitted)
    return count


def fit_load(history: History, site: Site) -> Fitted:
    """Return the forecast of a site's load."""
    start = history.origin.at - (len(history.values) - 1) * ledger.HALF_HOUR
    found = forecast_load(
        start, history.values, zone_of(site), LOAD_HALF_HOURS, names=(MODEL, BASELINE)
    )
    warnings: list[str] = []
    zero_width = not found.band.within_95.any()
    if zero_width:
        warnings.append("The load never strayed from this: the band has no width.")
    return Fitted(
        method=found.band.method,
        baseline_method=found.baseline.method,
        points_used=len(history.values),
        model=_columns(found.band),
        baseline=_columns(found.baseline),
        accuracy=accuracy_of(found.measured),
        zero_width=zero_width,
        warnings=warnings,
    )


def _columns(band: LoadBand) -> Columns:
    """Return the columns of a load; less than nothing is not used."""
    return Columns(
        predicted=rounded(band.predicted),
        mean=rounded(band.predicted),
        lower_80=rounded((band.predicted - band.within_80).clip(0)),
        upper_80=rounded(band.predicted + band.within_80),
        lower_95=rounded((band.predicted - band.within_95).clip(0)),
        upper_95=rounded(band.predicted + band.within_95),
    )


async def _is_new(session: AsyncSession, history: History) -> bool:
    origin = history.origin
    return is_news(await newest(session, origin.series, origin.subject), origin)


async def _store(runtime: Runtime, history: History, fitted: Fitted) -> int:
    fitted.warnings.extend(history.notes)
    async with runtime.worker_session() as session:
        stored = await keep(session, history.origin, fitted)
    if stored:
        log.info(
            "forecast.fitted",
            series=history.origin.series,
            subject=history.origin.subject,
            method=fitted.method,
        )
    return int(stored)
