"""What makes a tariff refusable when it is created."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from energy.domain.coverage import Span, coverage_of_any_year
from energy.domain.tariff import (
    DAY_MINUTES,
    EVERY_DAY,
    EVERY_MONTH,
    DemandStep,
    Tariff,
    Tier,
    Window,
)

DEMAND_MINUTES = (15, 30, 60)
MOST_DECIMALS = 9
MOST_RATCHET_MONTHS = 60
WHOLE = 100
MOST_AMOUNT = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong, at a field of the rate as the API names it."""

    code: str
    field: str
    message: str


def _amount(field: str, value: Decimal | None, *, signed: bool = False) -> Iterator[Defect]:
    if value is None:
        return
    if not value.is_finite() or abs(value) > MOST_AMOUNT:
        yield Defect("not_a_number", field, "An amount is a finite number up to 1e9.")
    elif value < 0 and not signed:
        yield Defect("negative", field, "It must not be negative.")
    elif value != round(value, MOST_DECIMALS):
        yield Defect("too_precise", field, f"At most {MOST_DECIMALS} decimals.")


def _zone(tariff: Tariff) -> Iterator[Defect]:
    try:
        ZoneInfo(tariff.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield Defect("unknown_timezone", "timezone", "It is not the name of an IANA time zone.")


def _amounts(tariff: Tariff) -> Iterator[Defect]:
    yield from _amount("flat_rate_usd_per_kwh", tariff.flat_rate)
    yield from _amount("adder_usd_per_kwh", tariff.adder_per_kwh, signed=True)
    yield from _amount("export_usd_per_kwh", tariff.export_per_kwh)
    yield from _amount("daily_service_charge_usd", tariff.daily_service_charge)
    yield from _amount("monthly_service_charge_usd", tariff.monthly_service_charge)
    yield from _amount("minimum_monthly_charge_usd", tariff.minimum_monthly_charge)
    yield from _amount("minimum_daily_charge_usd", tariff.minimum_daily_charge)
    yield from _amount("minimum_yearly_charge_usd", tariff.minimum_yearly_charge)
    yield from _amount("demand_charge_usd_per_kw", tariff.demand_charge_per_kw)
    yield from _amount("coincident_peak_usd_per_kw", tariff.coincident_peak_per_kw)
    for row, tax in enumerate(tariff.taxes):
        yield from _amount(f"taxes[{row}].percent", tax.percent)
    for row, credit in enumerate(tariff.credits):
        yield from _amount(f"credits[{row}].per_month", credit.per_month, signed=True)
        yield from _amount(f"credits[{row}].per_kwh", credit.per_kwh, signed=True)


def _tiers(field: str, tiers: tuple[Tier, ...]) -> Iterator[Defect]:
    for row, tier in enumerate(tiers):
        yield from _amount(f"{field}[{row}].up_to_kwh", tier.up_to_kwh)
        yield from _amount(f"{field}[{row}].rate", tier.rate)
    if tiers and tiers[-1].up_to_kwh is not None:
        yield Defect("last_tier_bounded", field, "The last tier has no limit: up_to_kwh null.")
    limits = [Decimal(0), *(tier.up_to_kwh for tier in tiers[:-1])]
    for row, (low, high) in enumerate(pairwise(limits)):
        if low is None or high is None:
            yield Defect("tier_unbounded", f"{field}[{row}]", "Only the last tier has no limit.")
        elif low.is_finite() and high.is_finite() and not low < high:
            yield Defect("tiers_not_ascending", f"{field}[{row}]", "Limits must ascend from 0.")


def _demand_steps(field: str, steps: tuple[DemandStep, ...]) -> Iterator[Defect]:
    for row, step in enumerate(steps):
        yield from _amount(f"{field}[{row}].up_to_kw", step.up_to_kw)
        yield from _amount(f"{field}[{row}].usd_per_kw", step.per_kw)
    if steps and steps[-1].up_to_kw is not None:
        yield Defect("last_step_bounded", field, "The last step has no limit: up_to_kw null.")
    limits = [Decimal(0), *(step.up_to_kw for step in steps[:-1])]
    for row, (low, high) in enumerate(pairwise(limits)):
        if low is None or high is None:
            yield Defect("step_unbounded", f"{field}[{row}]", "Only the last step has no limit.")
        elif low.is_finite() and high.is_finite() and not low < high:
            yield Defect("steps_not_ascending", f"{field}[{row}]", "Limits must ascend from 0.")


def _monthly_demands(tariff: Tariff) -> Iterator[Defect]:
    for row, one in enumerate(tariff.monthly_demands):
        field = f"demand_charges[{row}]"
        if not one.months or not one.months <= EVERY_MONTH:
            yield Defect("months_invalid", f"{field}.months", "Months are 1 to 12, one at least.")
        if not one.steps:
            yield Defect("charge_missing", f"{field}.usd_per_kw", "It has no charge.")
        yield from _demand_steps(f"{field}.tiers", one.steps)


def _window(field: str, window: Window) -> Iterator[Defect]:
    if not window.name.strip():
        yield Defect("name_missing", f"{field}.name", "A period needs a name.")
    if not window.days or not window.days <= EVERY_DAY:
        yield Defect("days_invalid", f"{field}.days", "Days are 0 (Monday) to 6, one at least.")
    if not window.months or not window.months <= EVERY_MONTH:
        yield Defect("months_invalid", f"{field}.months", "Months are 1 to 12, one at least.")
    if not 0 <= window.start_minute < DAY_MINUTES:
        yield Defect("start_invalid", f"{field}.start", "A start lies from 00:00 to 23:59.")
    if not 0 <= window.end_minute <= DAY_MINUTES:
        yield Defect("end_invalid", f"{field}.end", "An end lies from 00:00 to 24:00.")
    if window.start_minute == window.end_minute:
        yield Defect("window_empty", field, "Start and end are the same; a whole day is 0 to 24.")
    yield from _amount(f"{field}.rate", window.rate)
    yield from _amount(f"{field}.demand_charge_usd_per_kw", window.demand_charge_per_kw)
    yield from _tiers(f"{field}.tiers", window.tiers)
    yield from _demand_steps(f"{field}.demand_tiers", window.demand_steps)
    if window.demand_steps and window.demand_charge_per_kw is not None:
        yield Defect(
            "demand_charged_twice", f"{field}.demand_tiers", "One charge or steps, not both."
        )


def _windows(tariff: Tariff) -> Iterator[Defect]:
    for row, window in enumerate(tariff.windows):
        yield from _window(f"tou_schedule[{row}]", window)
        if window.tiers and tariff.rate_type == "index":
            yield Defect(
                "tiers_unused", f"tou_schedule[{row}].tiers", "An index price has no tiers."
            )
    charges: dict[tuple[str, int], tuple[DemandStep, ...]] = {}
    for row, window in enumerate(tariff.windows):
        steps = window.own_demand_steps()
        if not steps:
            continue
        period = window.demand_period or window.name
        known = {charges.setdefault((period, m), steps) for m in window.months}
        if known != {steps}:
            yield Defect(
                "demand_charges_differ",
                f"tou_schedule[{row}].demand_charge_usd_per_kw",
                f"Windows of {period} share one peak, so they must share its charge.",
            )


def _kind(tariff: Tariff) -> Iterator[Defect]:
    kind = tariff.rate_type
    if kind == "flat" and tariff.flat_rate is None:
        yield Defect("flat_rate_missing", "flat_rate_usd_per_kwh", "A flat rate needs its price.")
    if kind == "tou" and not tariff.windows:
        yield Defect("schedule_missing", "tou_schedule", "A tou rate needs a schedule.")
    if kind == "tiered" and not tariff.tiers:
        yield Defect("tiers_missing", "tiered_rates", "A tiered rate needs its tiers.")
    if kind in ("flat", "tiered") and tariff.windows:
        yield Defect("schedule_unused", "tou_schedule", f"A {kind} rate has no schedule: use tou.")
    unused = kind in ("flat", "index") or (kind == "tou" and tariff.flat_rate is not None)
    if unused and tariff.tiers:
        yield Defect("tiers_unused", "tiered_rates", "These tiers would price nothing.")
    yield from _tiers("tiered_rates", tariff.tiers)


def _season(tariff: Tariff) -> Iterator[Defect]:
    months = tariff.season_start_month, tariff.season_end_month
    if (months[0] is None) != (months[1] is None):
        yield Defect("season_incomplete", "season_end_month", "A season has a start and an end.")
    for field, month in zip(("season_start_month", "season_end_month"), months, strict=True):
        if month is not None and month not in EVERY_MONTH:
            yield Defect("month_invalid", field, "A month is 1 to 12.")


def _demand(tariff: Tariff) -> Iterator[Defect]:
    if tariff.demand_interval_minutes not in DEMAND_MINUTES:
        yield Defect("interval_invalid", "demand_interval_minutes", "It is 15, 30 or 60.")
    percent, months = tariff.demand_ratchet_percent, tariff.demand_ratchet_months
    if not percent.is_finite() or not 0 <= percent <= WHOLE:
        yield Defect("percent_invalid", "demand_ratchet_percent", "It lies between 0 and 100.")
    elif (percent > 0) != (months > 0):
        yield Defect("ratchet_incomplete", "demand_ratchet_months", "A ratchet needs both values.")
    if not 0 <= months <= MOST_RATCHET_MONTHS:
        yield Defect("months_invalid", "demand_ratchet_months", "It lies between 0 and 60.")


def _coincident_hours(tariff: Tariff) -> Iterator[Defect]:
    known: list[tuple[datetime, datetime, int]] = []
    for row, (start, end) in enumerate(tariff.coincident_hours):
        if start.tzinfo is None or end.tzinfo is None:
            yield Defect("naive_time", f"coincident_hours[{row}]", "A time needs its offset or Z.")
        elif end <= start:
            yield Defect(
                "end_before_start", f"coincident_hours[{row}].end", "It ends at its start."
            )
        else:
            known.append((start, end, row))
    for (_, end, first), (start, _, second) in pairwise(sorted(known)):
        if start < end:
            yield Defect(
                "hours_overlap",
                f"coincident_hours[{second}]",
                f"It starts at {start:%FT%TZ}, before coincident_hours[{first}] ends.",
            )


def _first(code: str, spans: list[Span], message: str) -> Iterator[Defect]:
    if spans:
        names = ", ".join(dict.fromkeys(spans[0].names))
        told = message.format(span=spans[0], names=names, more=len(spans) - 1)
        yield Defect(code, "tou_schedule", told)


def _covered(tariff: Tariff) -> Iterator[Defect]:
    found = coverage_of_any_year(tariff)
    yield from _first(
        "schedule_overlaps", found.overlaps, "More than one window on {span}: {names} (+{more})."
    )
    if not tariff.has_fallback():
        yield from _first(
            "schedule_has_holes",
            found.holes,
            "No window on {span} (+{more}), and no flat_rate_usd_per_kwh or tiered_rates to fall "
            "back on.",
        )


CHECKS: tuple[Callable[[Tariff], Iterator[Defect]], ...] = (
    _zone, _kind, _amounts, _windows, _season, _demand, _coincident_hours, _monthly_demands,
)  # fmt: skip


def defects(tariff: Tariff) -> list[Defect]:
    """Return everything wrong with a tariff; holes and overlaps once its windows make sense."""
    found = [defect for check in CHECKS for defect in check(tariff)]
    return found or list(_covered(tariff))
