"""The parts of a rate as they come in and are shown: schedule rows, tiers, taxes, credits."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from energy.domain.tariff import (
    DAY_MINUTES,
    EVERY_DAY,
    EVERY_MONTH,
    Credit,
    DayType,
    DemandStep,
    MonthlyDemand,
    Tax,
    Tier,
    Window,
)
from energy.tariffs.amounts import (
    Charge,
    Moment,
    Percent,
    Price,
    Quantity,
    SignedCharge,
    SignedPrice,
    Whole,
)

_HOUR = 60
_MOST_TIERS = 50


def _different(values: list[int]) -> list[int]:
    if len(set(values)) != len(values):
        msg = "names one twice"
        raise ValueError(msg)
    return values


def _hour_from(value: object) -> object:
    """Take a lone instant for the hour that begins with it."""
    return {"start": value} if isinstance(value, str) else value


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Clock = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$", examples=["07:30"])]
Days = Annotated[
    list[Annotated[Whole, Field(ge=0, le=6)]],
    Field(min_length=1, max_length=7, description="0 is Monday"),
    AfterValidator(_different),
]
Months = Annotated[
    list[Annotated[Whole, Field(ge=1, le=12)]],
    Field(min_length=1, max_length=12),
    AfterValidator(_different),
]


class Part(BaseModel):
    """A part of a rate: a member that is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class TierRow(Part):
    """A step of a volume-based price."""

    up_to_kwh: Quantity | None = Field(
        default=None, description="Cumulative; null: without end, the last tier"
    )
    rate: Price

    def tier(self) -> Tier:
        """Return the tier as the bill reads it."""
        return Tier(self.up_to_kwh, self.rate)


Tiers = Annotated[list[TierRow], Field(min_length=1, max_length=_MOST_TIERS)]


class DemandTierRow(Part):
    """A step of a demand charge."""

    up_to_kw: Quantity | None = Field(
        default=None, description="Of the whole demand; null: without end, the last step"
    )
    usd_per_kw: Charge

    def step(self) -> DemandStep:
        """Return the step as the bill reads it."""
        return DemandStep(self.up_to_kw, self.usd_per_kw)


DemandTiers = Annotated[list[DemandTierRow], Field(min_length=1, max_length=_MOST_TIERS)]


class MonthlyDemandRow(Part):
    """What the highest demand of each of some months costs: one price per kW, or steps."""

    name: Name = "Demand"
    months: Months = Field(default_factory=lambda: sorted(EVERY_MONTH))
    tiers: DemandTiers | None = None
    usd_per_kw: Charge | None = Field(default=None, validate_default=True)

    @field_validator("usd_per_kw")
    @classmethod
    def _priced(cls, per_kw: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if (per_kw is None) == (info.data.get("tiers") is None) and "tiers" in info.data:
            msg = "a demand charge has either usd_per_kw or tiers"
            raise ValueError(msg)
        return per_kw

    def demand(self) -> MonthlyDemand:
        """Return the charge as the bill reads it."""
        steps = tuple(row.step() for row in self.tiers or ())
        if self.usd_per_kw is not None:
            steps = (DemandStep(None, self.usd_per_kw),)
        return MonthlyDemand(self.name, frozenset(self.months), steps)


class TouRow(Part):
    """A row of a schedule: when, and what a kWh then costs. Rows of one name are one period."""

    name: Name
    days: Days = Field(default_factory=lambda: sorted(EVERY_DAY))
    start_hour: Annotated[Whole, Field(ge=0, le=23)] | None = None
    start: Clock | None = Field(default=None, validate_default=True)
    end_hour: Annotated[Whole, Field(ge=0, le=24)] | None = None
    end: Clock | None = Field(default=None, validate_default=True)
    months: Months = Field(default_factory=lambda: sorted(EVERY_MONTH))
    day_type: DayType | None = None
    tiers: Tiers | None = None
    demand_charge_usd_per_kw: Charge | None = None
    demand_tiers: DemandTiers | None = Field(
        default=None, description="Instead of one charge for the demand of these hours"
    )
    demand_period: Name | None = Field(
        default=None, description="Rows of one demand period share one peak; `name` if left out"
    )
    rate: Price | None = Field(default=None, validate_default=True)

    @field_validator("start", "end")
    @classmethod
    def _one_instant(cls, clock: str | None, info: ValidationInfo) -> str | None:
        """Take the hour or the clock time; both where they say the same."""
        field = f"{info.field_name}_hour"
        if field not in info.data:
            return clock  # the hour is at fault, and said so
        hour: int | None = info.data[field]
        if clock is None and hour is None:
            msg = f"{field} or {info.field_name} is missing"
            raise ValueError(msg)
        if clock is None:
            return f"{hour:02}:00"
        if hour is not None and clock != f"{hour:02}:00":
            msg = f"is not {field} {hour}"
            raise ValueError(msg)
        return clock

    @field_validator("start")
    @classmethod
    def _within_a_day(cls, clock: str | None) -> str | None:
        if clock == "24:00":
            msg = "24:00 is the start of the next day: say 00:00"
            raise ValueError(msg)
        return clock

    @field_validator("end")
    @classmethod
    def _not_empty(cls, clock: str | None, info: ValidationInfo) -> str | None:
        if clock is not None and clock == info.data.get("start"):
            msg = f"start and end are both {clock}; a whole day is 00:00 to 24:00"
            raise ValueError(msg)
        return "24:00" if clock == "00:00" else clock

    @field_validator("rate")
    @classmethod
    def _priced(cls, rate: Price | None, info: ValidationInfo) -> Price | None:
        if (rate is None) == (info.data.get("tiers") is None) and "tiers" in info.data:
            msg = "a row has either a rate or tiers"
            raise ValueError(msg)
        return rate

    @model_validator(mode="after")
    def _say_whole_hours(self) -> Self:
        self.start_hour = _hour_of(self.start)
        self.end_hour = _hour_of(self.end)
        return self

    def window(self) -> Window:
        """Return the row as the bill reads it."""
        tiers = tuple(row.tier() for row in self.tiers or ())
        return Window(
            name=self.name,
            rate=self.rate if self.rate is not None else tiers[0].rate,
            days=frozenset(self.days),
            start_minute=_minute_of(self.start),
            end_minute=_minute_of(self.end),
            months=frozenset(self.months),
            day_type=self.day_type,
            tiers=tiers,
            demand_charge_per_kw=self.demand_charge_usd_per_kw,
            demand_steps=tuple(row.step() for row in self.demand_tiers or ()),
            demand_period=self.demand_period,
        )


def clock_of(minute: int) -> str:
    """Return a minute of the day as a clock shows it."""
    return f"{minute // _HOUR:02}:{minute % _HOUR:02}"


def _minute_of(clock: str | None) -> int:
    found = re.fullmatch(r"(\d\d):(\d\d)", clock or "")
    assert found is not None
    return int(found[1]) * _HOUR + int(found[2])


def _hour_of(clock: str | None) -> int | None:
    """Return a whole hour as a number; None for an instant within one."""
    minute = _minute_of(clock)
    return minute // _HOUR if minute % _HOUR == 0 and minute <= DAY_MINUTES else None


class TaxRow(Part):
    """A percentage on the sum of all charges."""

    name: Name
    percent: Percent

    def tax(self) -> Tax:
        """Return the tax as the bill reads it."""
        return Tax(self.name, self.percent)


class CreditRow(Part):
    """What is taken off before taxes."""

    name: Name
    usd_per_month: SignedCharge | None = None
    usd_per_kwh: SignedPrice | None = Field(default=None, validate_default=True)

    @field_validator("usd_per_kwh")
    @classmethod
    def _something(cls, per_kwh: Decimal | None, info: ValidationInfo) -> Decimal | None:
        if per_kwh is None and info.data.get("usd_per_month") is None:
            msg = "a credit has usd_per_month, usd_per_kwh or both"
            raise ValueError(msg)
        return per_kwh

    def credit(self) -> Credit:
        """Return the credit as the bill reads it."""
        return Credit(self.name, self.usd_per_month or Decimal(0), self.usd_per_kwh or Decimal(0))


class CoincidentHour(Part):
    """A stretch in which the whole system peaked; a time without offset is the rate's own.

    Of a stretch over a month's end each month has its part, and both are charged.
    """

    start: Moment
    end: Moment | None = Field(default=None, description="An hour after `start` if left out")

    def span(self, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Return both ends."""
        start = instant(self.start, zone)
        end = instant(self.end, zone) if self.end is not None else start + timedelta(hours=1)
        return start, end


CoincidentHours = Annotated[
    list[
        Annotated[
            CoincidentHour, BeforeValidator(_hour_from, json_schema_input_type=str | CoincidentHour)
        ]
    ],
    Field(max_length=1000),
]


def instant(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return a time in UTC; without an offset it is the zone's, and of two the first."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    return aware.astimezone(UTC)
