"""Rates as the Utility Rate Database (OpenEI) writes them, as fields of a rate of ours.

What a document says and no rate here can is refused by its name, never left out of a bill.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from energy.tariffs.urdb_document import (
    SIX,
    Steps,
    UrdbRate,
    charges_by_hours,
    monthly_steps,
    refusal,
    rows_of,
    short,
)
from energy.tariffs.urdb_schedule import energy_fields

_TIER_UNITS = {"kwh": "kwh_per_month", "kwh daily": "kwh_per_day", "kwh/kw": "kwh_per_kw"}
_DEMAND_UNIT = "kw"
_MINIMUMS = {
    "$/day": "minimum_daily_charge_usd",
    "$/month": "minimum_monthly_charge_usd",
    "$/year": "minimum_yearly_charge_usd",
}
_CHARGES_NOT_KNOWN = (
    "coincidentratestructure", "demandreactivepowercharge", "fueladjustmentsmonthly",
    "demandratchetpercentage", "fixedchargeeaaddl",
)  # fmt: skip
"""Further members that would add to a bill; the last one is of every meter but the first."""
_PAID_AS_IT_FLOWS = "net billing instantaneous"
"""The one rule for what is fed in that a bill here has."""


def read(rate: UrdbRate, document: dict[str, Any]) -> dict[str, Any]:
    """Return a document's rate as fields of ours.

    Raises:
        DocumentRefused: it has a unit or a charge that is not known here.
    """
    for name in _CHARGES_NOT_KNOWN:
        if _charges(document.get(name)):
            raise refusal(name, "is not known here")
    fields: dict[str, Any] = {
        "name": (rate.name or rate.label or "Imported rate").strip()[:128] or "Imported rate",
        "description": rate.description[:4000] if rate.description else None,
        "utility_name": rate.utility.strip()[:128] if rate.utility else None,
        "notes": f"URDB {rate.label}"[:4000] if rate.label else None,
        "currency": "USD",
        "rate_type": "tou",
        "tier_unit": _tier_unit(rate),
    }
    return fields | _fixed(rate) | _demand(rate) | energy_fields(rate) | _export(rate)


def warnings(rate: UrdbRate) -> list[str]:
    """Return what a document says of its own generation beyond a price: no load pays by it."""
    rule = rate.dgrules or ("Net Metering" if rate.usenetmetering else "")
    if not rule or rule.strip().lower() == _PAID_AS_IT_FLOWS:
        return []
    return [f"dgrules: {rule[:60]!r} is not applied; energy fed in is paid as it flows."]


def _charges(value: object) -> bool:
    """Return whether a member holds any number but zero."""
    if isinstance(value, dict):
        return any(_charges(one) for one in cast("dict[str, object]", value).values())
    if isinstance(value, list):
        return any(_charges(one) for one in cast("list[object]", value))
    return isinstance(value, int | Decimal) and value != 0


def _tier_unit(rate: UrdbRate) -> str:
    units = {tier.unit.strip().lower() for period in rate.energyratestructure for tier in period}
    for unit in sorted(units):
        if unit not in _TIER_UNITS:
            raise refusal("energyratestructure", f"the unit {unit!r} is not supported")
    stepped = {
        tier.unit.strip().lower()
        for period in rate.energyratestructure
        if len(period) > 1
        for tier in period
    }
    if len(stepped) > 1:
        raise refusal("energyratestructure", f"has steps in several units: {sorted(stepped)}")
    return _TIER_UNITS[stepped.pop()] if stepped else "kwh_per_month"


def _fixed(rate: UrdbRate) -> dict[str, Any]:
    """Return the fixed charges and the minimums."""
    unit = rate.fixedchargeunits.strip().lower()
    first = rate.fixedchargefirstmeter
    monthly = rate.fixedmonthlycharge
    daily = Decimal(0)
    if unit == "$/day":
        daily = first
    elif unit == "$/month":
        monthly += first
    elif unit == "$/year":
        monthly += first / 12
    elif first:
        raise refusal("fixedchargeunits", f"{rate.fixedchargeunits!r} is not supported")
    return {
        "daily_service_charge_usd": daily.quantize(SIX),
        "monthly_service_charge_usd": monthly.quantize(SIX),
        **_minimums(rate),
    }


def _minimums(rate: UrdbRate) -> dict[str, Any]:
    """Return the least sums; earlier versions of the database name two of them apart."""
    found = {
        "minimum_daily_charge_usd": Decimal(0),
        "minimum_monthly_charge_usd": rate.minmonthlycharge,
        "minimum_yearly_charge_usd": rate.annualmincharge,
    }
    unit = rate.minchargeunits.strip().lower()
    if rate.mincharge and unit not in _MINIMUMS:
        raise refusal("minchargeunits", f"{rate.minchargeunits!r} is not supported")
    if rate.mincharge:
        found[_MINIMUMS[unit]] = rate.mincharge
    return {name: amount.quantize(SIX) for name, amount in found.items()}


def _demand(rate: UrdbRate) -> dict[str, Any]:
    """Return the demand charge of all months, how demand is measured, and its ratchet."""
    monthly = monthly_steps(rate)
    by_hours = charges_by_hours(rate)
    for name, has, unit in (
        ("demandrateunit", by_hours, rate.demandrateunit),
        ("flatdemandunit", any(monthly), rate.flatdemandunit),
    ):
        if has and unit.strip().lower() != _DEMAND_UNIT:
            raise refusal(name, f"{unit!r} is not supported")
    minutes = rate.demandwindow or 15
    if minutes not in (15, 30, 60):
        raise refusal("demandwindow", f"{minutes} minutes are not supported: 15, 30 or 60 are")
    return {
        **_of_months(monthly),
        "demand_interval_minutes": minutes,
        **_ratchet(rate, monthly),
    }


def _of_months(monthly: Sequence[Steps]) -> dict[str, Any]:
    """Return the monthly demand charge: one of all months, or each with its months."""
    if len(set(monthly)) == 1 and len(monthly[0]) <= 1:
        return {"demand_charge_usd_per_kw": monthly[0][0][1] if monthly[0] else Decimal(0)}
    months: dict[Steps, list[int]] = {}
    for number, steps in enumerate(monthly, start=1):
        months.setdefault(steps, []).append(number)
    rows: list[dict[str, Any]] = []
    for steps, found in months.items():
        if len(steps) > 1:
            rows.append({"months": found, "tiers": rows_of(steps)})
        elif steps:
            rows.append({"months": found, "usd_per_kw": steps[0][1]})
    return {"demand_charges": rows}


def _ratchet(rate: UrdbRate, monthly: Sequence[Steps]) -> dict[str, Any]:
    percent = rate.lookbackpercent * 100 if rate.lookbackpercent <= 1 else rate.lookbackpercent
    if not percent:
        return {}
    if rate.lookbackmonths is not None and not all(rate.lookbackmonths):
        raise refusal("lookbackmonths", "a look back over some months only is not supported")
    if not rate.lookbackrange:
        raise refusal("lookbackrange", "is missing beside lookbackpercent")
    if not any(monthly) or charges_by_hours(rate):
        raise refusal("lookbackpercent", "is supported for a monthly demand charge only")
    return {
        "demand_ratchet_percent": percent.quantize(SIX),
        "demand_ratchet_months": rate.lookbackrange,
    }


def _export(rate: UrdbRate) -> dict[str, Any]:
    """Return what is paid for energy that is fed in, where anything is."""
    tiers = [tier for period in rate.periods() for tier in rate.energyratestructure[period]]
    prices = {short(tier.sell or Decimal(0)) for tier in tiers}
    if len(prices) > 1:
        raise refusal("sell", "several prices for what is fed in are not supported")
    [price] = prices
    return {"export_usd_per_kwh": price} if price else {}
