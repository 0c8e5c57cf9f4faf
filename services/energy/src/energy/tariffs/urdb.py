"""Rates as the Utility Rate Database (OpenEI) writes them, as fields of a rate of ours.

What a document says and no rate here can is refused by its name, never left out of a bill.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from energy.tariffs.urdb_document import (
    SIX,
    UrdbRate,
    charges_by_hours,
    monthly_charges,
    refusal,
    short,
    varies,
)
from energy.tariffs.urdb_schedule import energy_fields

_TIER_UNITS = {"kwh": "kwh_per_month", "kwh daily": "kwh_per_day", "kwh/kw": "kwh_per_kw"}
_DEMAND_UNIT = "kw"
_CHARGES_NOT_KNOWN = (
    "coincidentratestructure", "demandreactivepowercharge", "fueladjustmentsmonthly",
    "demandratchetpercentage", "annualmincharge",
)  # fmt: skip
"""Further members that would add to a bill."""


@dataclass(frozen=True, slots=True)
class Read:
    """A document as the fields of a rate, and what is to be said of it."""

    fields: dict[str, Any]
    warnings: list[str]


def read(rate: UrdbRate, document: dict[str, Any]) -> Read:
    """Return a document's rate as fields of ours.

    Raises:
        DocumentRefused: it has a unit or a charge that is not known here.
    """
    for name in _CHARGES_NOT_KNOWN:
        if _charges(document.get(name)):
            raise refusal(name, "is not known here")
    warnings: list[str] = []
    fields: dict[str, Any] = {
        "name": (rate.name or rate.label or "Imported rate").strip()[:128] or "Imported rate",
        "description": rate.description[:4000] if rate.description else None,
        "utility_name": rate.utility.strip()[:128] if rate.utility else None,
        "notes": f"URDB {rate.label}"[:4000] if rate.label else None,
        "currency": "USD",
        "rate_type": "tou",
        "tier_unit": _tier_unit(rate),
    }
    fields |= _fixed(rate) | _demand(rate) | _export(rate, warnings)
    fields |= energy_fields(rate, warnings)
    return Read(fields, warnings)


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
    """Return the fixed charges and the minimum."""
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
    if rate.mincharge and rate.minchargeunits.strip().lower() != "$/month":
        raise refusal("minchargeunits", f"{rate.minchargeunits!r} is not supported")
    return {
        "daily_service_charge_usd": daily.quantize(SIX),
        "monthly_service_charge_usd": monthly.quantize(SIX),
        "minimum_monthly_charge_usd": rate.mincharge.quantize(SIX),
    }


def _demand(rate: UrdbRate) -> dict[str, Any]:
    """Return the demand charge of all months, how demand is measured, and its ratchet."""
    monthly = monthly_charges(rate)
    by_hours = charges_by_hours(rate)
    for name, has, unit in (
        ("demandrateunit", by_hours, rate.demandrateunit),
        ("flatdemandunit", any(monthly), rate.flatdemandunit),
    ):
        if has and unit.strip().lower() != _DEMAND_UNIT:
            raise refusal(name, f"{unit!r} is not supported")
    if varies(rate) and by_hours:
        raise refusal(
            "flatdemandmonths", "a monthly charge that varies is not supported beside one by hours"
        )
    minutes = rate.demandwindow or 15
    if minutes not in (15, 30, 60):
        raise refusal("demandwindow", f"{minutes} minutes are not supported: 15, 30 or 60 are")
    return {
        "demand_charge_usd_per_kw": Decimal(0) if varies(rate) else monthly[0],
        "demand_interval_minutes": minutes,
        **_ratchet(rate, monthly),
    }


def _ratchet(rate: UrdbRate, monthly: Sequence[Decimal]) -> dict[str, Any]:
    percent = rate.lookbackpercent * 100 if rate.lookbackpercent <= 1 else rate.lookbackpercent
    if not percent:
        return {}
    if rate.lookbackmonths is not None and not all(rate.lookbackmonths):
        raise refusal("lookbackmonths", "a look back over some months only is not supported")
    if not rate.lookbackrange:
        raise refusal("lookbackrange", "is missing beside lookbackpercent")
    if varies(rate) or not any(monthly) or charges_by_hours(rate):
        raise refusal("lookbackpercent", "is supported for one monthly demand charge only")
    return {
        "demand_ratchet_percent": percent.quantize(SIX),
        "demand_ratchet_months": rate.lookbackrange,
    }


def _export(rate: UrdbRate, warnings: list[str]) -> dict[str, Any]:
    prices = {tier.sell for period in rate.energyratestructure for tier in period}
    found = {short(price) for price in prices if price is not None}
    if rate.dgrules and rate.dgrules.strip().lower() != "net billing instantaneous":
        warnings.append(
            f"dgrules: {rate.dgrules} is not applied; what is fed in is paid as it flows."
        )
    if len(found) > 1:
        warnings.append("sell: several prices for what is fed in are not supported; none is paid.")
        return {}
    return {"export_usd_per_kwh": found.pop()} if found else {}
