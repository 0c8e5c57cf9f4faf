"""What a cost report tells: costs by day or month, in one currency, with what they rest on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.auth import Principal
from common.clock import now
from common.errors import Conflict, Invalid, NotFound
from energy.carbon import footprint
from energy.carbon.models import CarbonSetting
from energy.carbon.reading import grams_at
from energy.costs.models import CostDay
from energy.costs.reading import CostSum, Scope, costs_between
from energy.currencies.reading import Conversion, Rates, rates_between, unchanged
from energy.facts.models import Client, Site
from energy.facts.reading import site_of
from energy.usage.half_hours import HalfHours, half_hours, span_of_days

Interval = Literal["day", "month"]
LONGEST_DAYS: dict[Interval, int] = {"day": 93, "month": 1130}
AMOUNTS = (
    "energy_cost", "service_charge", "demand_charge", "other_charges", "taxes", "total_cost",
)  # fmt: skip
_PLACES = Decimal("0.000001")
ZERO = Decimal("0.000000")


class ReportSpan(Invalid):
    title: ClassVar[str] = "The report's days are not usable"


class ClientUnknown(NotFound):
    title: ClassVar[str] = "No such client"


class MixedCurrencies(Conflict):
    title: ClassVar[str] = "The amounts are in several currencies"


@dataclass(frozen=True, slots=True)
class Asked:
    """Of what, of which days, in which currency (None: as it was billed)."""

    site_id: UUID | None
    client_id: UUID | None
    start_date: date
    end_date: date
    interval: Interval
    currency: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A local day or month."""

    label: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class ReportRow:
    """What was used in a bucket and what it cost, in the report's currency."""

    label: str
    kwh: Decimal
    unrated_kwh: Decimal
    th_h: Decimal
    amounts: dict[str, Decimal]
    avg_rate: Decimal | None
    coverage_percent: Decimal | None
    kg_co2: Decimal | None
    conversions: tuple[Conversion, ...]
    """Of the amounts that were in other currencies."""


@dataclass(frozen=True, slots=True)
class Report:
    """A cost report, before it has a form."""

    title: str
    site_name: str | None
    client_name: str | None
    asked: Asked
    timezone: str
    currency: str
    made_at: datetime
    rows: list[ReportRow]
    rates: list[str]
    """Names and versions of the rates that were in force."""
    carbon: str
    """Where the intensities are from, or that nobody has said."""
    simulated: bool

    def total(self, name: str) -> Decimal:
        """Return the sum of an amount."""
        return sum((row.amounts[name] for row in self.rows), ZERO)

    def kwh(self) -> Decimal:
        """Return the whole energy."""
        return sum((row.kwh for row in self.rows), ZERO)

    def kg_co2(self) -> Decimal | None:
        """Return the sum of what is known; None where nothing is."""
        known = [row.kg_co2 for row in self.rows if row.kg_co2 is not None]
        return sum(known, ZERO) if known else None

    def avg_rate(self) -> Decimal | None:
        """Return everything per kWh; None where nothing was used."""
        return _per(self.total("total_cost"), self.kwh())


async def gather(session: AsyncSession, caller: Principal, asked: Asked) -> Report:
    """Return a report.

    Raises:
        ReportSpan: the days are out of order, too many, or none is over.
        SiteUnknown, ClientUnknown: there is no such site or client.
        MixedCurrencies: amounts are in several currencies, and none is asked for.
        CurrencyUnknown, RateUnavailable: a reference rate does not exist or is not known yet.
    """
    site = None if asked.site_id is None else await site_of(session, asked.site_id)
    client_id = caller.client_id or asked.client_id
    asked = replace(asked, client_id=client_id)
    client = await _client(session, client_id, is_own=caller.client_id is not None)
    zone = "UTC" if site is None else site.timezone
    _check(asked, zone)
    scope = Scope(site_id=asked.site_id, client_id=client_id)
    buckets = _buckets(asked)
    sums = [
        await costs_between(session, scope, *span_of_days(one.first, one.last, zone))
        for one in buckets
    ]
    currency = _currency(asked, sums)
    rates = await _reference_rates(session, asked, sums)
    carbon, where = await _carbon(session, asked, site, client_id, buckets)
    rows = [
        _row(one, found, currency, rates, carbon.get(one.label))
        for one, found in zip(buckets, sums, strict=True)
    ]
    return Report(
        title="Electricity costs",
        site_name=None if site is None else site.name,
        client_name=client,
        asked=asked,
        timezone=zone,
        currency=currency,
        made_at=now(),
        rows=rows,
        rates=await _rates_used(session, scope, asked, zone),
        carbon=where,
        simulated=any(one.simulated for found in sums for one in found.values()),
    )


async def _client(session: AsyncSession, client_id: UUID | None, *, is_own: bool) -> str | None:
    if client_id is None:
        return None
    client = await session.get(Client, client_id)
    if client is None and not is_own:
        raise ClientUnknown("There is no client of this id.", field="client_id")
    return None if client is None else client.name


def _check(asked: Asked, zone: str) -> None:
    longest = LONGEST_DAYS[asked.interval]
    if not 0 <= (asked.end_date - asked.start_date).days < longest:
        raise ReportSpan(
            f"end_date lies on or after start_date, at most {longest} days by {asked.interval}.",
            field="end_date",
            maximum_days=longest,
        )
    if asked.start_date > now().astimezone(ZoneInfo(zone)).date():
        raise ReportSpan("The first day has not begun yet.", field="start_date")


def _buckets(asked: Asked) -> list[Bucket]:
    if asked.interval == "day":
        count = (asked.end_date - asked.start_date).days + 1
        days = [asked.start_date + timedelta(days=n) for n in range(count)]
        return [Bucket(day.isoformat(), day, day) for day in days]
    found: list[Bucket] = []
    first = asked.start_date
    while first <= asked.end_date:
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        last = min(asked.end_date, following - timedelta(days=1))
        found.append(Bucket(f"{first:%Y-%m}", first, last))
        first = following
    return found


def _currency(asked: Asked, sums: Sequence[dict[str | None, CostSum]]) -> str:
    if asked.currency is not None:
        return asked.currency
    found = sorted({currency for one in sums for currency in one if currency is not None})
    if len(found) > 1:
        raise MixedCurrencies(
            f"Amounts are in {', '.join(found)}; say in which the report shall be.",
            field="currency",
        )
    return found[0] if found else "USD"


async def _reference_rates(
    session: AsyncSession, asked: Asked, sums: Sequence[dict[str | None, CostSum]]
) -> Rates:
    """Return the rates of all days; none where nothing is converted."""
    wanted = asked.currency
    others = {one for found in sums for one in found if one is not None and one != wanted}
    if wanted is None or not others:
        return Rates([])
    return await rates_between(session, {wanted, *others}, asked.start_date, asked.end_date)


def _row(
    bucket: Bucket,
    found: dict[str | None, CostSum],
    currency: str,
    rates: Rates,
    kg_co2: Decimal | None,
) -> ReportRow:
    """Return a bucket's sums in the report's currency, by the rate of its last day."""
    on = min(bucket.last, now().date())
    amounts = dict.fromkeys(AMOUNTS, ZERO)
    used: list[Conversion] = []
    whole = CostSum(None)
    for source, one in found.items():
        made = unchanged(currency) if source is None else rates.conversion(source, currency, on)
        if made.day is not None:
            used.append(made)
        for name in AMOUNTS[:-1]:
            amounts[name] += made.of(getattr(one, name))
        whole = whole.plus(one)
    amounts = {name: amount.quantize(_PLACES) for name, amount in amounts.items()}
    amounts["total_cost"] = sum((amounts[name] for name in AMOUNTS[:-1]), ZERO)
    coverage = whole.coverage_percent
    return ReportRow(
        label=bucket.label,
        kwh=whole.kwh.quantize(_PLACES),
        unrated_kwh=whole.unrated_kwh.quantize(_PLACES),
        th_h=Decimal(repr(round(whole.th_h, 6))),
        amounts=amounts,
        avg_rate=_per(amounts["total_cost"], whole.kwh),
        coverage_percent=None if coverage is None else coverage.quantize(Decimal("0.001")),
        kg_co2=kg_co2,
        conversions=tuple(used),
    )


def _per(amount: Decimal, kwh: Decimal) -> Decimal | None:
    return (amount / kwh).quantize(_PLACES) if kwh else None


async def _carbon(
    session: AsyncSession,
    asked: Asked,
    site: Site | None,
    client_id: UUID | None,
    buckets: Sequence[Bucket],
) -> tuple[dict[str, Decimal | None], str]:
    """Return kg of CO2 by bucket, and in words where the intensities are from."""
    setting = None if site is None else await session.get(CarbonSetting, site.id)
    if site is None or setting is None:
        return {}, "not known: no region is set for one site"
    start, end = span_of_days(asked.start_date, asked.end_date, site.timezone)
    used = await half_hours(session, site.id, start, end, client_id=client_id)
    grams = await grams_at(session, setting, used, start, end)
    found: dict[str, Decimal | None] = {}
    bases: set[str] = set()
    for one in buckets:
        inside: HalfHours = used.within(*span_of_days(one.first, one.last, site.timezone))
        made = footprint.total(inside, grams)
        found[one.label] = made.kg_co2
        bases.add(made.basis)
    source = setting.stated_source or setting.region or ""
    words = ", ".join(sorted(bases - {"unknown"})) or "unknown"
    return found, f"{source} ({words})"


async def _rates_used(session: AsyncSession, scope: Scope, asked: Asked, zone: str) -> list[str]:
    """Return which rates held, by name and version, as the days' records name them."""
    start, end = span_of_days(asked.start_date, asked.end_date, zone)
    query = (
        select(CostDay.rate_name, CostDay.rate_version, CostDay.currency)
        .where(CostDay.starts_at >= start, CostDay.starts_at < end, CostDay.rate_name.is_not(None))
        .distinct()
        .order_by(CostDay.rate_name, CostDay.rate_version)
    )
    if scope.site_id is not None:
        query = query.where(CostDay.site_id == scope.site_id)
    if scope.client_id is not None:
        query = query.where(CostDay.client_id == scope.client_id)
    rows = await session.execute(query)
    return [f"{name}, version {version} ({currency})" for name, version, currency in rows]
