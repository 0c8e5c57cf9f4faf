"""Sums as they are shown."""

from collections.abc import Iterable
from decimal import Decimal

from energy.costs.schemas import Amounts
from energy.costs.sums import CostSum


def amounts_of(one: CostSum) -> Amounts:
    """Return a sum in one currency as it is shown."""
    rated = one.kwh - one.unrated_kwh
    return Amounts(
        currency=one.currency,
        total_kwh=one.kwh,
        unrated_kwh=one.unrated_kwh,
        energy_cost_usd=one.energy_cost,
        service_charge_usd=one.service_charge,
        demand_charge_usd=one.demand_charge,
        other_charges_usd=one.other_charges,
        taxes_usd=one.taxes,
        total_cost_usd=one.total_cost,
        avg_rate_usd_per_kwh=one.total_cost / rated if rated else None,
        avg_energy_rate_usd_per_kwh=one.energy_cost / rated if rated else None,
        num_records=one.records,
        coverage_percent=one.coverage_percent,
        unknown_half_hours=one.unknown_half_hours,
        uniform_half_hours=one.split_records,
        th_h=round(one.th_h, 6),
        simulated=one.simulated,
    )


def by_currency(costs: Iterable[CostSum]) -> dict[str | None, CostSum]:
    """Add sums up by currency; what is not rated in any joins the only one, if there is one."""
    found: dict[str | None, CostSum] = {}
    for one in costs:
        found[one.currency] = found.get(one.currency, CostSum(one.currency)).plus(one)
    rated = [currency for currency in found if currency is not None]
    if len(rated) == 1 and None in found:
        found[rated[0]] = found[rated[0]].plus(found.pop(None))
    return found


def percent_of(part: Decimal | None, whole: Decimal | None) -> Decimal | None:
    """Return a part in percent of a whole, None where it has no meaning."""
    return 100 * part / whole if part is not None and whole else None
