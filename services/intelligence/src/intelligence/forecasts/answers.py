"""Forecasts as they are answered."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Literal, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Invalid, NotFound, Problem, Unavailable
from intelligence.forecasts.events import SeriesName
from intelligence.forecasts.fitted import Accuracy, Columns, Fitted
from intelligence.forecasts.fitting import FitBusy, FitFailure, FitTimeout, FittingProcess
from intelligence.forecasts.histories import (
    TooFewPoints,
    difficulty_history,
    find_site,
    load_history,
    price_history,
    without_holes,
)
from intelligence.forecasts.keeping import DAY_S, newest
from intelligence.forecasts.models import Forecast
from intelligence.forecasts.price import LEAST, PriceTask
from intelligence.forecasts.schemas import (
    MOST_POINTS,
    Baseline,
    Coverage,
    ForecastAnswer,
    Origin,
    OwnSeries,
    Prediction,
    PricePoint,
)

_STEPS: Final[dict[SeriesName, Literal["day", "epoch", "half-hour"]]] = {
    "btc-price": "day",
    "difficulty": "epoch",
    "site-load": "half-hour",
}
_OLD_STEPS: Final = {"btc-price": 2, "difficulty": 2, "site-load": 6}
"""A forecast whose origin lies so many steps back is behind its data."""
_OWN_ORIGINS: Final = 60


class NotFittedYet(Unavailable):
    title: ClassVar[str] = "The forecast is being made"


class ForecastBusy(Unavailable):
    title: ClassVar[str] = "Others are being served"


class ForecastFailed(Unavailable):
    title: ClassVar[str] = "The fitting process is not available"


class ForecastTooSlow(Problem):
    status: ClassVar[int] = 504
    title: ClassVar[str] = "The forecast took too long"


async def price(session: AsyncSession, days: int) -> ForecastAnswer:
    """Return the stored price forecast for the next days.

    Raises:
        TooFewPoints: too few daily closes are stored.
        NotFittedYet: it will be there within a minute or two.
    """
    row = await newest(session, "btc-price")
    if row is None:
        await price_history(session)
        raise _soon()
    return _stored(row, days)


async def difficulty(session: AsyncSession, epochs: int) -> ForecastAnswer:
    """Return the stored forecast of the next epochs' difficulty."""
    row = await newest(session, "difficulty")
    if row is None:
        await difficulty_history(session)
        raise _soon()
    return _stored(row, epochs)


async def site_load(
    session: AsyncSession, principal: Principal, site_id: UUID, hours: int
) -> ForecastAnswer:
    """Return the stored forecast of a site's load. It is the operator's, not a client's."""
    site = None if principal.client_id else await find_site(session, site_id)
    if site is None:
        raise NotFound("No such site.")
    row = await newest(session, "site-load", str(site_id))
    if row is None:
        await load_history(session, site)
        raise _soon()
    return _stored(row, 2 * hours)


def _soon() -> NotFittedYet:
    return NotFittedYet(
        "There is enough history, but nothing is fitted to it yet.", retry_after_s=60
    )


async def own_price(process: FittingProcess, body: OwnSeries) -> ForecastAnswer:
    """Forecast a series of the caller's own.

    Raises:
        TooFewPoints: fewer than 60.
        Invalid: dates of some points only, twice the same, or too far apart.
        ForecastBusy, ForecastTooSlow, ForecastFailed: the process could not do it in time.
    """
    values, last, notes = _regular(body.points)
    if len(values) < LEAST:
        raise TooFewPoints(
            f"At least {LEAST} daily points are needed (90 are meant); {len(values)} came.",
            field="points",
            points=len(values),
            least_points=LEAST,
        )
    task = PriceTask(values=values, days=body.days, origins=_OWN_ORIGINS)
    try:
        fitted = await process.fit(task)
    except FitBusy:
        raise ForecastBusy(
            "Forecasts of others are being made; try again.", retry_after_s=5
        ) from None
    except FitTimeout:
        raise ForecastTooSlow("It was stopped at its time limit; send fewer points.") from None
    except FitFailure:
        raise ForecastFailed("The fit broke off; try again.", retry_after_s=10) from None
    fitted.warnings.extend(notes)
    return _answer(
        fitted,
        series="btc-price",
        unit="as given",
        origin=Origin(at=last, value=values[-1]),
        step_s=DAY_S,
        steps=body.days,
        fitted_at=now(),
        simulated=False,
    )


def _regular(points: Sequence[PricePoint]) -> tuple[list[float], datetime | None, list[str]]:
    """Return daily values oldest first, the last one's time if they have dates, and what was done.

    Raises:
        Invalid: dates of some points only, twice the same, or further apart than can be filled.
    """
    dated = sorted(
        ((point.date, point.price) for point in points if point.date is not None),
        key=lambda one: one[0],
    )
    if not dated:
        return [point.price for point in points], None, []
    days = [day.toordinal() for day, _ in dated]
    if len(dated) < len(points):
        raise Invalid("Give a date with every point, or with none.", field="points")
    if len(set(days)) < len(days):
        raise Invalid("A date occurs twice.", field="points")
    values, filled = without_holes(days, [price for _, price in dated])
    if len(values) > MOST_POINTS:
        raise Invalid(f"The dates span more than {MOST_POINTS} days.", field="points")
    notes = [f"{filled} missing days were filled with the price before."] if filled else []
    if len(values) - filled < len(dated):
        notes.append("What lies before a hole of more than a week was left out.")
    last = datetime.combine(dated[-1][0], datetime.min.time(), UTC)
    return values, last, notes


def _stored(row: Forecast, horizon: int) -> ForecastAnswer:
    fitted = Fitted.model_validate(row.fitted)
    series = cast("SeriesName", row.series)  # only `keep` writes it
    steps = min(horizon, row.horizon)
    behind_s = (now() - row.origin_at).total_seconds()
    if behind_s > _OLD_STEPS[series] * row.step_s:
        hours = behind_s / 3600
        fitted.warnings.append(f"Its data are {hours:.0f} hours old: nothing newer has come.")
    return _answer(
        fitted,
        series=series,
        site_id=UUID(row.subject) if row.subject else None,
        unit=row.unit,
        origin=Origin(at=row.origin_at, value=row.origin_value),
        step_s=row.step_s,
        steps=steps,
        fitted_at=row.fitted_at,
        simulated=row.simulated,
    )


def _answer(
    fitted: Fitted,
    *,
    series: SeriesName,
    unit: str,
    origin: Origin,
    step_s: int,
    steps: int,
    fitted_at: datetime,
    simulated: bool,
    site_id: UUID | None = None,
) -> ForecastAnswer:
    accuracy = [row for row in fitted.accuracy if row.horizon <= steps]
    return ForecastAnswer(
        series=series,
        site_id=site_id,
        unit=unit,
        step=_STEPS[series],
        method=fitted.method,
        origin=origin,
        points_used=fitted.points_used,
        horizon=steps,
        predictions=_predictions(fitted.model, steps, origin.at, step_s),
        baseline=Baseline(
            method=fitted.baseline_method,
            predictions=_predictions(fitted.baseline, steps, origin.at, step_s),
        ),
        accuracy=accuracy,
        coverage=_coverage(accuracy),
        zero_width=fitted.zero_width,
        warnings=fitted.warnings,
        fitted_at=fitted_at,
        age_s=(now() - fitted_at).total_seconds(),
        simulated=simulated,
    )


def _coverage(accuracy: Sequence[Accuracy]) -> Coverage | None:
    if not accuracy:
        return None
    row = accuracy[-1]
    return Coverage(
        horizon=row.horizon,
        origins=row.origins,
        coverage_80=row.model.coverage_80,
        coverage_95=row.model.coverage_95,
        baseline_coverage_80=row.baseline.coverage_80,
        baseline_coverage_95=row.baseline.coverage_95,
    )


def _predictions(
    columns: Columns, steps: int, origin_at: datetime | None, step_s: int
) -> list[Prediction]:
    shown = columns.first(steps)
    return [
        Prediction(
            step=place + 1,
            at=None if origin_at is None else origin_at + timedelta(seconds=step_s * (place + 1)),
            predicted=shown.predicted[place],
            mean=shown.mean[place],
            lower_80=shown.lower_80[place],
            upper_80=shown.upper_80[place],
            lower_95=shown.lower_95[place],
            upper_95=shown.upper_95[place],
        )
        for place in range(len(shown.predicted))
    ]
