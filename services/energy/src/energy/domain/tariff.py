"""What a tariff says, as values. Amounts are in the tariff's own currency, exact decimals.

Hours are half-open and in the tariff's zone; minutes of a day run from 0 to 1,440.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

RateType = Literal["flat", "tou", "tiered", "index"]
DayType = Literal["weekday", "weekend", "holiday"]
TierUnit = Literal["kwh_per_month", "kwh_per_day", "kwh_per_kw"]
TierRule = Literal["pro_rata", "chronological"]
WrapDay = Literal["instant", "start"]
DemandWindow = Literal["fixed", "sliding"]

EVERY_DAY = frozenset(range(7))
EVERY_MONTH = frozenset(range(1, 13))
DAY_MINUTES = 1440
FLAT = "Flat"
"""The name under which energy stands that a flat or fallback rate prices."""


@dataclass(frozen=True, slots=True)
class Tier:
    """One step of a volume-based price: `rate` per kWh until the running total is `up_to_kwh`."""

    up_to_kwh: Decimal | None
    """Cumulative, in the tariff's tier unit; None: without end, the last step."""
    rate: Decimal


@dataclass(frozen=True, slots=True)
class DemandStep:
    """One step of a demand charge: `per_kw` for each kW of the demand until it is `up_to_kw`."""

    up_to_kw: Decimal | None
    """Of the whole demand; None: without end, the last step."""
    per_kw: Decimal


@dataclass(frozen=True, slots=True)
class MonthlyDemand:
    """What the highest demand of certain months costs, once a month, each kW by its step."""

    name: str
    months: frozenset[int]
    steps: tuple[DemandStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One row of a time-of-use schedule. Rows of one name are one period of the bill."""

    name: str
    rate: Decimal
    days: frozenset[int] = EVERY_DAY
    """0 is Monday."""
    start_minute: int = 0
    end_minute: int = DAY_MINUTES
    """Before `start_minute`: the window wraps past midnight."""
    months: frozenset[int] = EVERY_MONTH
    day_type: DayType | None = None
    """Beside `days`: `holiday` is a day of the tariff's list, `weekday` and `weekend` are not."""
    tiers: tuple[Tier, ...] = ()
    """Instead of `rate`; the meter's total decides which step holds, not this period's."""
    demand_charge_per_kw: Decimal | None = None
    """For the highest demand within this period's hours of a month, beside the tariff's own."""
    demand_steps: tuple[DemandStep, ...] = ()
    """Instead of `demand_charge_per_kw`."""
    demand_period: str | None = None
    """Windows of one demand period share one peak; None: the period of the window's name."""

    def own_demand_steps(self) -> tuple[DemandStep, ...]:
        """Return the steps of the demand charge of its hours; of a single rate, the one."""
        if self.demand_steps or self.demand_charge_per_kw is None:
            return self.demand_steps
        return (DemandStep(None, self.demand_charge_per_kw),)


@dataclass(frozen=True, slots=True)
class Tax:
    """A percentage of the sum of all charges before taxes."""

    name: str
    percent: Decimal


@dataclass(frozen=True, slots=True)
class Credit:
    """What is taken off before taxes: so much per month, per kWh used, or both."""

    name: str
    per_month: Decimal = Decimal(0)
    per_kwh: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Everything that a bill follows from, beside the load and the prices of an index."""

    name: str
    rate_type: RateType
    timezone: str
    """IANA name. Windows, seasons and holidays are of this zone."""
    billing_timezone: str | None = None
    """Whose days and months are billed, where the meter's place has another zone."""
    currency: str = "USD"

    flat_rate: Decimal | None = None
    """Per kWh: the price of a flat tariff, the fallback of uncovered hours of a `tou` one."""
    windows: tuple[Window, ...] = ()
    season_start_month: int | None = None
    season_end_month: int | None = None
    """Inclusive, may wrap past December: outside it the windows do not hold, the fallback does."""
    holidays: frozenset[date] = frozenset()
    wrap_day: WrapDay = "instant"
    """Which day a wrapped window's early hours belong to: their own, or that of its start."""
    tiers: tuple[Tier, ...] = ()
    tier_unit: TierUnit = "kwh_per_month"
    tier_rule: TierRule = "pro_rata"
    adder_per_kwh: Decimal = Decimal(0)
    """On top of an index price."""
    export_per_kwh: Decimal | None = None
    """Paid for negative energy; None: nothing is paid for it."""

    daily_service_charge: Decimal = Decimal(0)
    """By share of the local day: a day of 23 or 25 hours is one."""
    monthly_service_charge: Decimal = Decimal(0)
    """By share of the local month."""
    minimum_monthly_charge: Decimal = Decimal(0)
    """Least sum of a whole local month before credits and taxes; by share of it."""
    minimum_daily_charge: Decimal = Decimal(0)
    """So much for each day billed makes the least sum of a month, beside the monthly one."""
    minimum_yearly_charge: Decimal = Decimal(0)
    """Least sum of a calendar year before credits and taxes; by share of it, in its last month."""

    demand_charge_per_kw: Decimal = Decimal(0)
    """For the highest demand of each local month, once."""
    monthly_demands: tuple[MonthlyDemand, ...] = ()
    """Beside it, in their months."""
    demand_interval_minutes: int = 15
    demand_window: DemandWindow = "fixed"
    demand_ratchet_percent: Decimal = Decimal(0)
    """Billed demand is at least this share of the highest of the months before."""
    demand_ratchet_months: int = 0
    coincident_peak_per_kw: Decimal = Decimal(0)
    """For the mean power over the system's peak hours of each month; one over a month's end is of
    both, in parts."""
    coincident_hours: tuple[tuple[datetime, datetime], ...] = field(default=())

    taxes: tuple[Tax, ...] = ()
    credits: tuple[Credit, ...] = ()

    def calendar(self) -> str:
        """Return the zone of the days and months that are billed."""
        return self.billing_timezone or self.timezone

    def has_fallback(self) -> bool:
        """Return whether an hour that no window claims has a price."""
        return self.rate_type == "index" or self.flat_rate is not None or bool(self.tiers)

    def charges_demand(self) -> bool:
        """Return whether a peak costs anything: of a month, of hours, of the system's."""
        windows = any(window.demand_charge_per_kw or window.demand_steps for window in self.windows)
        of_months = self.demand_charge_per_kw or self.monthly_demands
        return bool(of_months or self.coincident_peak_per_kw or windows)

    def has_minimum(self) -> bool:
        """Return whether there is a least sum."""
        return bool(
            self.minimum_monthly_charge or self.minimum_daily_charge or self.minimum_yearly_charge
        )
