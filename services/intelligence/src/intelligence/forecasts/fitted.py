"""A forecast as it is computed, stored, published and answered: plain numbers, column by column."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from intelligence.domain.forecast import LARGEST_LOG, Band, Measured, Numbers, Score


class Columns(BaseModel):
    """What is expected, a value for each step ahead, and the bands around it."""

    predicted: list[float]
    """The median: exceeded as often as not."""
    mean: list[float]
    lower_80: list[float]
    upper_80: list[float]
    lower_95: list[float]
    upper_95: list[float]

    def first(self, steps: int) -> "Columns":
        """Return the first steps only."""
        return Columns(**{name: column[:steps] for name, column in self})


class Errors(BaseModel):
    """How a method did at past origins, each with only what was known then."""

    mae: float
    """Mean absolute error, in the forecast's unit."""
    mape_percent: float
    """Mean absolute error as a percentage of what came."""
    coverage_80: float
    """The part of what came that lay inside the 80 % band."""
    coverage_95: float


class Accuracy(BaseModel):
    """Rolling-origin errors so many steps ahead. Origins overlap: they are not independent."""

    horizon: int
    origins: int
    model: Errors
    baseline: Errors


class Fitted(BaseModel):
    """A forecast, its baseline, and how good both were."""

    method: str
    baseline_method: str
    points_used: int
    model: Columns
    baseline: Columns
    accuracy: list[Accuracy]
    zero_width: bool
    warnings: list[str]


MODEL = "model"
BASELINE = "baseline"


def rounded(values: Numbers) -> list[float]:
    """Return numbers of eight significant digits: more would only pretend."""
    return [float(f"{value:.8g}") for value in values.tolist()]


def columns_of(band: Band) -> Columns:
    """Return the columns of a band."""
    return Columns(
        predicted=rounded(band.median()),
        mean=rounded(band.mean()),
        lower_80=rounded(band.quantile(0.1)),
        upper_80=rounded(band.quantile(0.9)),
        lower_95=rounded(band.quantile(0.025)),
        upper_95=rounded(band.quantile(0.975)),
    )


def fitted_of(
    band: Band, baseline: Band, measured: Sequence[Measured], *, points: int, warnings: list[str]
) -> Fitted:
    """Return a forecast on the log scale with its baseline and its measurement."""
    said = list(warnings)
    if band.zero_width:
        said.append("The series never moved: the band has no width, which says nothing of risk.")
    if float(band.log_mean.max() + 2 * band.log_sd.max()) > LARGEST_LOG:
        said.append("The band is wider than numbers can say; its ends are cut off.")
    if not measured:
        said.append("Too few points to measure past errors: how often the bands hold is unknown.")
    return Fitted(
        method=band.method,
        baseline_method=baseline.method,
        points_used=points,
        model=columns_of(band),
        baseline=columns_of(baseline),
        accuracy=accuracy_of(measured),
        zero_width=band.zero_width,
        warnings=said,
    )


def accuracy_of(measured: Sequence[Measured]) -> list[Accuracy]:
    """Return the measurement as rows of an answer."""
    return [
        Accuracy(
            horizon=row.horizon,
            origins=row.origins,
            model=_errors(row.scores, MODEL),
            baseline=_errors(row.scores, BASELINE),
        )
        for row in measured
    ]


def _errors(scores: Mapping[str, Score], name: str) -> Errors:
    score = scores[name]
    return Errors(
        mae=float(f"{score.mae:.6g}"),
        mape_percent=round(score.mape_percent, 4),
        coverage_80=round(score.coverage_80, 4),
        coverage_95=round(score.coverage_95, 4),
    )
