"""The terms of a rate: all its fields as they come in and are stored, and the tariff they mean."""

from decimal import Decimal
from typing import Annotated, Any, Literal, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field, StringConstraints, model_validator

from energy.domain.tariff import DemandWindow, RateType, Tariff, TierRule, TierUnit, WrapDay
from energy.tariffs.amounts import (
    Charge,
    Currency,
    Day,
    Number,
    Percent,
    Price,
    SignedPrice,
    Whole,
    Zone,
)
from energy.tariffs.schedules import (
    CoincidentHour,
    CoincidentHours,
    CreditRow,
    MonthlyDemandRow,
    Name,
    Part,
    TaxRow,
    Tiers,
    TouRow,
)

UTC_NAME = "UTC"
_NOTHING = Decimal(0)
_Text = Annotated[str, StringConstraints(max_length=4000)]
_Label = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128)]
_Month = Annotated[Whole, Field(ge=1, le=12)]
READ_ONLY = frozenset(
    {
        "id", "version", "version_from", "revision", "timezone_from", "created_at", "updated_at",
        "removed",
    }
)  # fmt: skip
"""What is shown of a rate and cannot be written: what was read may be sent back whole."""


class RateFields(Part):
    """All fields of a rate: the same for a stored one and for one that is sent along.

    Money is in `currency`, whatever the names of the fields say.
    """

    name: Name
    description: _Text | None = None
    location: _Label | None = None
    site_id: UUID | None = None
    utility_name: _Label | None = None
    account_number: _Label | None = None
    notes: _Text | None = None

    rate_type: RateType = "flat"
    timezone: Zone | None = Field(
        default=None, description="That of the site if left out, else UTC"
    )
    currency: Currency = "USD"

    flat_rate_usd_per_kwh: Price | None = Field(
        default=None, description="For a `tou` rate the price of hours that no row covers"
    )
    tou_schedule: Annotated[list[TouRow], Field(max_length=600)] | None = None
    season_start_month: _Month | None = None
    season_end_month: _Month | None = None
    holidays: Annotated[list[Day], Field(max_length=1000)] = Field(default_factory=list[Day])
    wrap_day: WrapDay = "instant"
    tiered_rates: Tiers | None = None
    tier_unit: TierUnit = "kwh_per_month"
    tier_rule: TierRule = "pro_rata"
    index_series_id: UUID | None = None
    adder_usd_per_kwh: SignedPrice | None = None
    export_usd_per_kwh: SignedPrice | None = Field(
        default=None,
        description="Paid for each kWh that is fed in, nothing if left out. Never negative: only "
        "an index's prices, its adder and credits may be",
    )

    daily_service_charge_usd: Charge | None = None
    monthly_service_charge_usd: Charge | None = None
    minimum_monthly_charge_usd: Charge | None = Field(
        default=None, description="Least sum of a month before credits and taxes, by share of it"
    )
    minimum_daily_charge_usd: Charge | None = Field(
        default=None, description="So much a day billed makes the month's least sum, beside it"
    )
    minimum_yearly_charge_usd: Charge | None = Field(
        default=None, description="Least sum of a calendar year, by share of it"
    )

    demand_charge_usd_per_kw: Charge | None = None
    demand_charges: Annotated[list[MonthlyDemandRow], Field(max_length=50)] = Field(
        default_factory=list[MonthlyDemandRow],
        description="Of some months, or in steps, beside demand_charge_usd_per_kw",
    )
    demand_interval_minutes: Annotated[Literal[15, 30, 60], Number] = 15
    demand_window: DemandWindow = "fixed"
    demand_ratchet_percent: Percent | None = None
    demand_ratchet_months: Annotated[Whole, Field(ge=0, le=60)] = 0
    coincident_peak_usd_per_kw: Charge | None = None
    coincident_hours: CoincidentHours = Field(default_factory=list[CoincidentHour])

    taxes: Annotated[list[TaxRow], Field(max_length=50)] = Field(default_factory=list[TaxRow])
    credits: Annotated[list[CreditRow], Field(max_length=50)] = Field(
        default_factory=list[CreditRow]
    )

    def zone(self) -> str:
        """Return the name of the zone whose hours these are."""
        return self.timezone or UTC_NAME

    def tariff(self) -> Tariff:
        """Return the tariff that these fields mean."""
        zone = self.zone()
        return Tariff(
            name=self.name,
            rate_type=self.rate_type,
            timezone=zone,
            currency=self.currency,
            flat_rate=self.flat_rate_usd_per_kwh,
            windows=tuple(row.window() for row in self.tou_schedule or ()),
            season_start_month=self.season_start_month,
            season_end_month=self.season_end_month,
            holidays=frozenset(self.holidays),
            wrap_day=self.wrap_day,
            tiers=tuple(row.tier() for row in self.tiered_rates or ()),
            tier_unit=self.tier_unit,
            tier_rule=self.tier_rule,
            adder_per_kwh=self.adder_usd_per_kwh or _NOTHING,
            export_per_kwh=self.export_usd_per_kwh,
            daily_service_charge=self.daily_service_charge_usd or _NOTHING,
            monthly_service_charge=self.monthly_service_charge_usd or _NOTHING,
            minimum_monthly_charge=self.minimum_monthly_charge_usd or _NOTHING,
            minimum_daily_charge=self.minimum_daily_charge_usd or _NOTHING,
            minimum_yearly_charge=self.minimum_yearly_charge_usd or _NOTHING,
            demand_charge_per_kw=self.demand_charge_usd_per_kw or _NOTHING,
            monthly_demands=tuple(row.demand() for row in self.demand_charges),
            demand_interval_minutes=self.demand_interval_minutes,
            demand_window=self.demand_window,
            demand_ratchet_percent=self.demand_ratchet_percent or _NOTHING,
            demand_ratchet_months=self.demand_ratchet_months,
            coincident_peak_per_kw=self.coincident_peak_usd_per_kw or _NOTHING,
            coincident_hours=tuple(hour.span(ZoneInfo(zone)) for hour in self.coincident_hours),
            taxes=tuple(row.tax() for row in self.taxes),
            credits=tuple(row.credit() for row in self.credits),
        )


class RateInput(RateFields):
    """The fields of a rate as somebody sends them."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_is_only_shown(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        fields = cast("dict[str, Any]", given)
        return {name: value for name, value in fields.items() if name not in READ_ONLY}


class StoredTerms(RateFields):
    """The fields of a stored rate: its zone is known, and whose it is."""

    timezone: Zone | None = UTC_NAME
    timezone_from: Literal["rate", "site", "default"] = "default"
