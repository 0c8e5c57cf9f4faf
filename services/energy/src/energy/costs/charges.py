"""What a site pays beside energy, once: daily charges by the day, the rest by the month: pure.

Where several versions of a tariff held in a month, each version's charges count by the share of
the time for which it held; taxes are each version's on what stands under it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from energy.costs.months import part_of_month
from energy.costs.packing import Ints
from energy.costs.pricing import Reign
from energy.domain.tariff import Tariff
from energy.domain.zone import YearMonth

NO_CURRENCY = "XXX"
"""ISO 4217 for none: no tariff was in force."""
_NANO = Decimal("1e-9")


@dataclass(slots=True)
class Charges:
    """Amounts in one currency."""

    service: Decimal = Decimal(0)
    demand: Decimal = Decimal(0)
    other: Decimal = Decimal(0)
    taxes: Decimal = Decimal(0)
    lines: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


@dataclass(frozen=True, slots=True)
class Span:
    """A local day or month, and how far it has gone."""

    start_s: int
    end_s: int
    until_s: int


def day_charges(reigns: Sequence[Reign], day: Span) -> dict[str, Charges]:
    """Return the daily service charge so far: by share of the local day, whatever its length."""
    found: dict[str, Charges] = {}
    for reign in reigns:
        seconds = min(reign.end_s, day.until_s) - max(reign.start_s, day.start_s)
        if seconds <= 0:
            continue
        tariff = reign.rated.tariff
        amount = tariff.daily_service_charge * seconds / (day.end_s - day.start_s)
        charges = found.setdefault(tariff.currency, Charges())
        charges.service += amount
        charges.lines.append(_line("daily_service", reign, amount))
    return _rounded(found) or {NO_CURRENCY: Charges()}


def month_charges(
    reigns: Sequence[Reign],
    month: Span,
    starts_s: Ints,
    kwh_e6: Ints,
    earlier_peaks_kw: Mapping[YearMonth, Decimal],
) -> dict[str, Charges]:
    """Return what a month's bill adds to energy and daily charges, so far."""
    found: dict[str, Charges] = {}
    whole = (month.start_s, month.until_s)
    for reign in reigns:
        first, last = max(reign.start_s, month.start_s), min(reign.end_s, month.until_s)
        if first >= last:
            continue
        tariff = reign.rated.tariff
        charges = found.setdefault(tariff.currency, Charges())
        monthly = tariff.monthly_service_charge * (last - first) / (month.end_s - month.start_s)
        _add(charges, "service", "monthly_service", reign, monthly)
        if not _more(tariff):
            continue
        part = part_of_month(reign, whole, (starts_s, kwh_e6), earlier_peaks_kw)
        _add(charges, "demand", "demand", reign, part.demand)
        _add(charges, "other", "coincident_peak", reign, part.coincident)
        _add(charges, "other", "minimum", reign, part.minimum)
        _add(charges, "other", "credits", reign, -part.credits)
        _add(charges, "taxes", "taxes", reign, part.taxes)
    return _rounded(found) or {NO_CURRENCY: Charges()}


def _more(tariff: Tariff) -> bool:
    """Return whether a month's bill holds more than energy and service."""
    demanding = tariff.charges_demand() or tariff.has_minimum()
    return demanding or bool(tariff.taxes or tariff.credits)


def _add(charges: Charges, name: str, kind: str, reign: Reign, amount: Decimal) -> None:
    if amount:
        setattr(charges, name, getattr(charges, name) + amount)
        charges.lines.append(_line(kind, reign, amount))


def _line(kind: str, reign: Reign, amount: Decimal) -> dict[str, Any]:
    return {
        "kind": kind,
        "rate_id": str(reign.rated.rate_id),
        "rate_version": reign.rated.version,
        "amount": str(amount.quantize(_NANO, ROUND_HALF_UP)),
    }


def _rounded(found: dict[str, Charges]) -> dict[str, Charges]:
    for charges in found.values():
        for name in ("service", "demand", "other", "taxes"):
            amount: Decimal = getattr(charges, name)
            setattr(charges, name, amount.quantize(_NANO, ROUND_HALF_UP))
    return found
