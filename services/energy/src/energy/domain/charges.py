"""A bill's lines, from what was measured. In fractions, so nothing is lost before the end."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from energy.domain import tiers
from energy.domain.measures import NOTHING, Measures, MonthMeasure, demand_period
from energy.domain.prices import name_of, rate_of, tiers_of
from energy.domain.tariff import DemandStep, Tariff, Tier
from energy.domain.zone import YearMonth

Kind = Literal["energy", "demand", "coincident", "service", "minimum", "credit", "tax", "export"]


@dataclass(frozen=True, slots=True)
class Charge:
    """A line before it is rounded."""

    kind: Kind
    name: str
    month: YearMonth
    quantity: Fraction
    unit: str
    rate: Fraction
    amount: Fraction
    note: str | None = None


def charges(tariff: Tariff, measures: Measures) -> Iterator[Charge]:
    """Yield every line of every month."""
    months = measures.months
    used = {one.month: _of_use(tariff, one, measures) for one in months}
    last_of_year = {one.month.year: one for one in months}
    for year, one in last_of_year.items():
        of_year = [month for month in months if month.month.year == year]
        used[one.month] += _yearly_minimum(tariff, of_year, used)
    for one in months:
        of_use = used[one.month] + list(_credits(tariff, one))
        yield from of_use
        yield from _taxes(tariff, one, _sum(of_use))
        yield from _export(tariff, one)


def _of_use(tariff: Tariff, one: MonthMeasure, measures: Measures) -> list[Charge]:
    """Return what a month is charged before credits and taxes."""
    found = [*_energy(tariff, one), *_demand(tariff, one, measures), *_service(tariff, one)]
    return found + list(_minimum(tariff, one, _sum(found)))


def _sum(found: Iterable[Charge]) -> Fraction:
    return sum((one.amount for one in found), NOTHING)


def _plain(
    kind: Kind,
    name: str,
    month: YearMonth,
    priced: tuple[Fraction, str, Decimal | Fraction],
    note: str | None = None,
) -> Charge:
    quantity, unit, rate = priced
    return Charge(
        kind, name, month, quantity, unit, Fraction(rate), quantity * Fraction(rate), note
    )


def steps_of(tariff: Tariff, one: MonthMeasure, slot: int) -> list[Fraction]:
    """Return how many kWh of a slot fall into each step of its price."""
    steps = tiers_of(tariff, slot)
    if tariff.tier_rule == "chronological":
        return [one.stepped.get((slot, step), NOTHING) for step in range(len(steps))]
    total = one.total()
    parts = tiers.spread(total, tiers.limits_kwh(tariff, steps, one.days, one.billed_kw))
    return [one.used[slot] * part / total for part in parts]


def _energy(tariff: Tariff, one: MonthMeasure) -> Iterator[Charge]:
    """Yield the lines of energy; rows of one name and price are one line."""
    found: dict[tuple[str, Decimal, str | None], Fraction] = {}
    for slot in sorted(one.used, key=lambda slot: (slot == 0, slot)):
        name = name_of(tariff, slot)
        if tariff.rate_type == "index":
            yield _of_index(tariff, one, slot)
        elif steps := tiers_of(tariff, slot):
            for step, kwh in enumerate(steps_of(tariff, one, slot)):
                key = (name, steps[step].rate, _step_note(tariff, steps, step))
                found[key] = found.get(key, NOTHING) + kwh
        else:
            key = (name, rate_of(tariff, slot), None)
            found[key] = found.get(key, NOTHING) + one.used[slot]
    for (name, rate, note), kwh in found.items():
        if kwh:
            yield _plain("energy", name, one.month, (kwh, "kWh", rate), note)


def _step_note(tariff: Tariff, steps: tuple[Tier, ...], step: int) -> str:
    unit = {"kwh_per_month": "a month", "kwh_per_day": "a day", "kwh_per_kw": "per kW"}
    limit = steps[step].up_to_kwh
    if limit is not None:
        return f"tier {step + 1}: up to {limit} kWh {unit[tariff.tier_unit]}"
    return f"tier {step + 1}: above {steps[step - 1].up_to_kwh} kWh" if step else "tier 1"


def _of_index(tariff: Tariff, one: MonthMeasure, slot: int) -> Charge:
    kwh, added = one.used[slot], Fraction(rate_of(tariff, slot))
    amount = one.index_cost.get(slot, NOTHING) + kwh * added
    note = f"the index and {rate_of(tariff, slot)} more" if added else None
    return Charge(
        "energy", name_of(tariff, slot), one.month, kwh, "kWh", amount / kwh, amount, note
    )


def _coarse(tariff: Tariff, measures: Measures) -> str | None:
    """Return what a bill says where the readings are longer than the demand's interval."""
    minutes = tariff.demand_interval_minutes
    if measures.longest_s <= minutes * 60:
        return None
    return (
        f"readings of up to {measures.longest_s // 60} minutes: "
        f"a higher demand over {minutes} minutes inside them is not seen"
    )


def _demand(tariff: Tariff, one: MonthMeasure, measures: Measures) -> Iterator[Charge]:
    coarse = _coarse(tariff, measures)
    note = coarse
    if one.ratchet is not None:
        note = f"{tariff.demand_ratchet_percent} % of the peak of {one.ratchet}"
    if tariff.demand_charge_per_kw:
        yield _plain(
            "demand", "Demand", one.month, (one.billed_kw, "kW", tariff.demand_charge_per_kw), note
        )
    for monthly in tariff.monthly_demands:
        if one.month.month in monthly.months:
            yield from _stepped(monthly.name, one.month, one.billed_kw, monthly.steps, note)
    for name, steps in _period_steps(tariff, one.month).items():
        if peak := one.period_peaks_kw.get(name):
            yield from _stepped(f"Demand {name}", one.month, peak, steps, coarse)
    if tariff.coincident_peak_per_kw and one.coincident_hours:
        yield _plain(
            "coincident",
            "Coincident peak",
            one.month,
            (one.coincident_kwh / one.coincident_hours, "kW", tariff.coincident_peak_per_kw),
        )


def _stepped(
    name: str, month: YearMonth, kw: Fraction, steps: tuple[DemandStep, ...], note: str | None
) -> Iterator[Charge]:
    """Yield a line for each step that a demand reaches and that costs something."""
    limits = [Fraction(step.up_to_kw) for step in steps if step.up_to_kw is not None]
    for number, (step, part) in enumerate(zip(steps, tiers.spread(kw, limits), strict=True)):
        if not step.per_kw or (not part and len(steps) > 1):
            continue
        told = [note] if note else []
        if len(steps) > 1:
            told.insert(0, _demand_step_note(steps, number))
        yield _plain("demand", name, month, (part, "kW", step.per_kw), "; ".join(told) or None)


def _demand_step_note(steps: tuple[DemandStep, ...], number: int) -> str:
    limit = steps[number].up_to_kw
    if limit is not None:
        return f"step {number + 1}: up to {limit} kW"
    return f"step {number + 1}: above {steps[number - 1].up_to_kw} kW"


def _period_steps(tariff: Tariff, month: YearMonth) -> dict[str, tuple[DemandStep, ...]]:
    found: dict[str, tuple[DemandStep, ...]] = {}
    for slot, window in enumerate(tariff.windows, start=1):
        name = demand_period(tariff, slot)
        if name and month.month in window.months:
            found[name] = window.own_demand_steps()
    return found


def _service(tariff: Tariff, one: MonthMeasure) -> Iterator[Charge]:
    if daily := tariff.daily_service_charge:
        yield _plain("service", "Daily service", one.month, (one.days, "day", daily))
    if monthly := tariff.monthly_service_charge:
        yield _plain("service", "Monthly service", one.month, (one.share(), "month", monthly))


def _minimum(tariff: Tariff, one: MonthMeasure, charged: Fraction) -> Iterator[Charge]:
    monthly, daily = tariff.minimum_monthly_charge, tariff.minimum_daily_charge
    missing = Fraction(monthly) * one.share() + Fraction(daily) * one.days - charged
    if (monthly or daily) and missing > 0:
        parts = [f"{monthly} a month"] if monthly else []
        parts += [f"{daily} a day"] if daily else []
        note = f"the minimum is {' and '.join(parts)}"
        yield _plain("minimum", "Minimum charge", one.month, (Fraction(1), "month", missing), note)


def _yearly_minimum(
    tariff: Tariff, of_year: Sequence[MonthMeasure], used: Mapping[YearMonth, Sequence[Charge]]
) -> Iterator[Charge]:
    """Yield what the months of a year lack of its minimum, in the last of them."""
    least = Fraction(tariff.minimum_yearly_charge)
    last = of_year[-1].month
    whole = YearMonth(last.year + 1, 1).first_day() - YearMonth(last.year, 1).first_day()
    share = sum((one.days for one in of_year), NOTHING) / whole
    missing = least * share - sum((_sum(used[one.month]) for one in of_year), NOTHING)
    if least and missing > 0:
        note = f"the minimum is {tariff.minimum_yearly_charge} a year"
        yield _plain("minimum", "Minimum charge", last, (Fraction(1), "year", missing), note)


def _credits(tariff: Tariff, one: MonthMeasure) -> Iterator[Charge]:
    for credit in tariff.credits:
        if credit.per_month:
            rate = -credit.per_month
            yield _plain("credit", credit.name, one.month, (one.share(), "month", rate))
        if credit.per_kwh and (kwh := one.total()):
            yield _plain("credit", credit.name, one.month, (kwh, "kWh", -credit.per_kwh))


def _taxes(tariff: Tariff, one: MonthMeasure, charged: Fraction) -> Iterator[Charge]:
    """Yield the taxes; on a month that is paid out none is, nor is one paid back."""
    base = max(charged, NOTHING)
    for tax in tariff.taxes:
        share = Fraction(tax.percent) / 100
        yield Charge("tax", tax.name, one.month, base, tariff.currency, share, base * share)


def _export(tariff: Tariff, one: MonthMeasure) -> Iterator[Charge]:
    if not one.exported:
        return
    paid = tariff.export_per_kwh
    note = None if paid is not None else "nothing is paid for it"
    yield _plain("export", "Export", one.month, (one.exported, "kWh", -(paid or Decimal(0))), note)
