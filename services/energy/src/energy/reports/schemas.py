"""A cost report as JSON. Amounts are in the report's currency, as decimal strings."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel, Field

from energy.currencies.schemas import ConversionView
from energy.reports.gathering import Interval, Report, ReportRow
from energy.tariffs.amounts import Amount


class CostAmounts(BaseModel):
    """What energy and charges cost."""

    energy_cost: Amount
    service_charge: Amount
    demand_charge: Amount
    other_charges: Amount = Field(description="Coincident peak and minimum less credits.")
    taxes: Amount
    total_cost: Amount


class CostRow(CostAmounts):
    """One day or month."""

    period: str
    kwh: Amount
    unrated_kwh: Amount = Field(description="Of `kwh`, what no rate priced: its cost is unknown.")
    th_h: Amount
    avg_rate_per_kwh: Amount | None
    coverage_percent: Amount | None
    kg_co2: Amount | None
    conversions: list[ConversionView] = Field(
        description="The reference rates by which amounts came into this currency."
    )


class CostReport(BaseModel):
    """The costs of a site, a client or everything, in one currency."""

    site_id: UUID | None
    site_name: str | None
    client_id: UUID | None
    client_name: str | None
    start_date: date
    end_date: date
    timezone: str
    interval: Interval
    currency: str
    rows: list[CostRow]
    total: CostAmounts
    kwh: Amount
    avg_rate_per_kwh: Amount | None
    kg_co2: Amount | None
    rates: list[str]
    carbon_source: str
    simulated: bool
    made_at: datetime


def view_of(report: Report) -> CostReport:
    """Return a report as it is shown."""
    asked = report.asked
    names = CostAmounts.model_fields
    return CostReport(
        site_id=asked.site_id,
        site_name=report.site_name,
        client_id=asked.client_id,
        client_name=report.client_name,
        start_date=asked.start_date,
        end_date=asked.end_date,
        timezone=report.timezone,
        interval=asked.interval,
        currency=report.currency,
        rows=[_row(row) for row in report.rows],
        total=CostAmounts(**{name: report.total(name) for name in names}),
        kwh=report.kwh(),
        avg_rate_per_kwh=report.avg_rate(),
        kg_co2=report.kg_co2(),
        rates=report.rates,
        carbon_source=report.carbon,
        simulated=report.simulated,
        made_at=report.made_at,
    )


def _row(row: ReportRow) -> CostRow:
    return CostRow(
        period=row.label,
        kwh=row.kwh,
        unrated_kwh=row.unrated_kwh,
        th_h=row.th_h,
        avg_rate_per_kwh=row.avg_rate,
        coverage_percent=row.coverage_percent,
        kg_co2=row.kg_co2,
        conversions=[ConversionView.of(one) for one in row.conversions],
        **row.amounts,
    )
