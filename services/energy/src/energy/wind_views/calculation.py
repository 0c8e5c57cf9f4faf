"""What some energy would mine in a half-hour: asked for, answered, and not kept."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid
from energy.domain.settlement import EARLIEST_DAY, NoSuchPeriod, day_start, period_start
from energy.domain.wind import btc
from energy.facts.reading import epoch_at, model_named
from energy.wind.miners import DifficultyUnavailable, MinerModelUnknown
from energy.wind.schemas import TEXT
from energy.wind_views.asking import MAX_NAME
from energy.wind_views.figures import Bitcoin, BitcoinRate, Difficulty, Quantity
from energy.wind_views.spans import strict_day

_PLACES = 12
"""Of what is given: a machine of less than a picowatt would mine more than can be written."""
_CLOCKS_DIFFER = timedelta(minutes=1)


class CalculationUnclear(Invalid):
    title: ClassVar[str] = "Machine and time must each be given in one way"


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        msg = "must be a number"
        raise ValueError(msg)  # noqa: TRY004  (what pydantic turns into a validation error)
    return value


_Number = Annotated[Decimal, BeforeValidator(_no_boolean)]
_Day = Annotated[date, BeforeValidator(strict_day)]


class WindCalculationRequest(BaseModel):
    """Energy of one half-hour, a machine and a time, the latter two each said in one way.

    The machine is a `model`, or `hashrate_ths` and `power_w`. The time is `at`, or a settlement
    period; or else `difficulty` and `subsidy_btc` say what it would tell.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    mwh: _Number = Field(
        ge=0, le=10**9, allow_inf_nan=False, decimal_places=_PLACES, examples=["12.5"]
    )
    model: str | None = Field(
        default=None, min_length=1, max_length=MAX_NAME, pattern=TEXT, examples=["S19J_PRO"]
    )
    hashrate_ths: _Number | None = Field(
        default=None, gt=0, le=10**9, allow_inf_nan=False, decimal_places=_PLACES
    )
    power_w: _Number | None = Field(
        default=None, gt=0, le=10**10, allow_inf_nan=False, decimal_places=_PLACES
    )
    at: AwareDatetime | None = None
    settlement_date: _Day | None = Field(default=None, examples=["2025-03-30"])
    settlement_period: int | None = Field(default=None, ge=1, le=50, strict=True)
    difficulty: _Number | None = Field(
        default=None, ge=1, le=10**18, allow_inf_nan=False, max_digits=60
    )
    subsidy_btc: _Number | None = Field(
        default=None, ge=0, le=50, allow_inf_nan=False, decimal_places=_PLACES
    )
    whole_miners: bool = Field(
        default=False, description="Only machines that the energy feeds for the whole half-hour."
    )


class WindCalculation(BaseModel):
    """What the energy would mine; half-even at the last place."""

    btc: BitcoinRate
    miners: Quantity = Field(description="Machines that the energy feeds for half an hour.")
    hashrate_ths: Quantity = Field(description="Of all of them.")
    difficulty: Difficulty
    subsidy_btc: Bitcoin
    height: int | None = Field(
        description="The first block of this difficulty and subsidy; null where they are given."
    )
    starts_at: datetime | None = Field(description="The instant whose difficulty was taken.")
    model: str | None
    simulated: bool = Field(description="The difficulty is a simulated chain's.")


@dataclass(frozen=True, slots=True)
class _Machine:
    model: str | None
    hashrate_ths: Decimal
    power_w: Decimal


@dataclass(frozen=True, slots=True)
class _Network:
    difficulty: Decimal
    subsidy_btc: Decimal
    height: int | None = None
    at: datetime | None = None
    simulated: bool = False


async def calculated(session: AsyncSession, body: WindCalculationRequest) -> WindCalculation:
    """Return what the energy would mine.

    Raises:
        CalculationUnclear: machine or time is not given, or in more than one way.
        MinerModelUnknown: nobody knows the model.
        DifficultyUnavailable: difficulty and subsidy of that time are not known.
    """
    _require_one(body, (("model",), ("hashrate_ths", "power_w")))
    _require_one(
        body, (("at",), ("settlement_date", "settlement_period"), ("difficulty", "subsidy_btc"))
    )
    machine = await _machine(session, body)
    network = await _network(session, body)
    mined = btc(
        body.mwh,
        machine.hashrate_ths,
        machine.power_w,
        network.difficulty,
        network.subsidy_btc,
        whole_miners=body.whole_miners,
    )
    return WindCalculation(
        btc=mined.btc,
        miners=mined.miners,
        hashrate_ths=mined.hashrate_ths,
        difficulty=network.difficulty,
        subsidy_btc=network.subsidy_btc,
        height=network.height,
        starts_at=network.at,
        model=machine.model,
        simulated=network.simulated,
    )


def _require_one(body: WindCalculationRequest, ways: tuple[tuple[str, ...], ...]) -> None:
    """Require that exactly one of some ways is used, and wholly."""
    told = " or ".join(" and ".join(way) for way in ways)
    begun = [way for way in ways if any(getattr(body, name) is not None for name in way)]
    if len(begun) != 1:
        field = begun[1][0] if begun else ways[0][0]
        raise CalculationUnclear(f"Give {told}, and only one of these.", field=field)
    missing = [name for name in begun[0] if getattr(body, name) is None]
    if missing:
        raise CalculationUnclear(f"{missing[0]} is missing; give {told}.", field=missing[0])


async def _machine(session: AsyncSession, body: WindCalculationRequest) -> _Machine:
    if body.model is None:
        assert body.hashrate_ths is not None
        assert body.power_w is not None
        return _Machine(None, body.hashrate_ths, body.power_w)
    model = await model_named(session, body.model)
    if model is None:
        raise MinerModelUnknown(
            f"There is no miner model {body.model[:80]!r}; GET /api/calculator/miner-models "
            "lists them.",
            field="model",
        )
    # The event's number, not its binary neighbour.
    return _Machine(model.name, Decimal(str(model.hashrate_ths)), Decimal(str(model.power_w)))


async def _network(session: AsyncSession, body: WindCalculationRequest) -> _Network:
    if body.difficulty is not None and body.subsidy_btc is not None:
        return _Network(body.difficulty, body.subsidy_btc)
    at = _instant(body)
    epoch = await epoch_at(session, at)
    if epoch is None:
        raise DifficultyUnavailable(
            f"The difficulty at {at.isoformat()} is not known here; give difficulty and "
            "subsidy_btc, or try again when the calculator has told its epochs.",
            retry_after_s=60,
        )
    return _Network(epoch.difficulty, epoch.subsidy_btc, epoch.height, at, epoch.simulated)


def _instant(body: WindCalculationRequest) -> datetime:
    at, field = body.at, "at"
    if at is None:
        assert body.settlement_date is not None
        assert body.settlement_period is not None
        field = "settlement_date"
        try:
            at = period_start(body.settlement_date, body.settlement_period)
        except NoSuchPeriod as error:
            raise Invalid(f"{error}.", field="settlement_period") from error
    if at > now() + _CLOCKS_DIFFER:
        raise Invalid(f"{field}: {at.isoformat()} is to come.", field=field)
    if at < day_start(EARLIEST_DAY):
        raise Invalid(f"{field}: {at.isoformat()} is before {EARLIEST_DAY}.", field=field)
    return at
