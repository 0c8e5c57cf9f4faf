"""Our own bill of a period, from the half-hours that are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from energy.costs.months import clipped
from energy.costs.packing import Ints
from energy.costs.pricing import Reign, stepped
from energy.domain.billing import Line, bill, energy_cost_by_half_hour
from energy.domain.charges import Kind as OwnKind
from energy.domain.zone import YearMonth
from energy.reconciliation.comparing import BillLine, Kind

_KINDS: Final[dict[OwnKind, Kind]] = {
    "energy": "energy",
    "demand": "demand",
    "coincident": "demand",
    "service": "fixed",
    "minimum": "fixed",
    "credit": "credit",
    "export": "credit",
    "tax": "tax",
}
_OF_PEAKS: Final = ("demand", "coincident", "minimum")
_PLACES = Decimal("0.000001")
_NANO = Decimal("1e-9")


@dataclass(frozen=True, eq=False, slots=True)
class Period:
    """What is billed: local days of a site, its half-hours and tariffs."""

    first: date
    last: date
    start_s: int
    end_s: int
    starts_s: Ints
    kwh_e6: Ints
    reigns: Sequence[Reign]
    peaks_kw: Mapping[YearMonth, Decimal]

    def whole_months(self) -> bool:
        """Return whether it is made of calendar months, as our bills are."""
        return self.first.day == 1 and (self.last + timedelta(days=1)).day == 1


def our_lines(period: Period) -> list[BillLine]:
    """Return the lines of our bill.

    A utility's period across the end of a month has one peak: the highest counts, once. Where the
    tariff has changed inside the period, demand counts by each one's share of the time.
    """
    found: list[BillLine] = []
    for reign in period.reigns:
        span = max(reign.start_s, period.start_s), min(reign.end_s, period.end_s)
        if span[0] >= span[1]:
            continue
        share = Decimal(span[1] - span[0]) / (period.end_s - period.start_s)
        whole = _bill(reign, period, (period.start_s, period.end_s))
        own = whole if share == 1 else _bill(reign, period, span)
        lines = [line for line in own if line.kind not in (*_OF_PEAKS, "tax")]
        if share != 1 and stepped(reign.rated.tariff):
            lines = _by_steps_of_all(lines, reign, period, span)
        lines += [
            _shared(line, share) for line in _one_peak(whole, period) if line.kind in _OF_PEAKS
        ]
        taxed = sum((line.amount for line in lines if line.kind != "export"), Decimal(0))
        found += [_view(line) for line in lines]
        found += [
            BillLine(
                "tax", tax.name, None, tax.percent,
                (taxed * tax.percent / 100).quantize(_PLACES, ROUND_HALF_UP),
            )
            for tax in reign.rated.tariff.taxes
        ]  # fmt: skip
    return found


def _bill(reign: Reign, period: Period, span: tuple[int, int]) -> list[Line]:
    return bill(
        reign.rated.tariff,
        clipped(period.starts_s, period.kwh_e6, span),
        index=reign.index,
        earlier_peaks_kw=period.peaks_kw,
        span_s=span,
    ).lines


def _by_steps_of_all(
    lines: Sequence[Line], reign: Reign, period: Period, span: tuple[int, int]
) -> list[Line]:
    """Return the lines with energy at the steps of the period's whole, one for each name."""
    costs = energy_cost_by_half_hour(
        reign.rated.tariff,
        period.starts_s,
        period.kwh_e6,
        index=reign.index,
        earlier_peaks_kw=period.peaks_kw,
        priced_s=span,
    )
    amounts: dict[str, int] = {}
    for half_hour in costs.by_period:
        for name, nano in half_hour.items():
            amounts[name] = amounts.get(name, 0) + nano
    energy = {line.name: line for line in lines if line.kind == "energy"}
    found = [line for line in lines if line.kind != "energy"]
    for name, line in energy.items():
        kwh = sum(
            (one.quantity for one in lines if one.kind == "energy" and one.name == name), Decimal(0)
        )
        amount = Decimal(amounts[name]).scaleb(-9).quantize(_PLACES, ROUND_HALF_UP)
        rate = (amount / kwh).quantize(_NANO, ROUND_HALF_UP)
        note = "at the steps of the month's whole energy"
        found.append(replace(line, quantity=kwh, rate=rate, amount=amount, note=note))
    return found


def _one_peak(lines: Sequence[Line], period: Period) -> list[Line]:
    """Return the lines with one peak for a period that is no calendar month."""
    if period.whole_months():
        return list(lines)
    highest: dict[tuple[str, str], Line] = {}
    for line in lines:
        key = (line.kind, line.name)
        if line.kind in ("demand", "coincident") and (
            key not in highest or line.amount > highest[key].amount
        ):
            highest[key] = line
    others = [line for line in lines if line.kind not in ("demand", "coincident")]
    return [*others, *highest.values()]


def _shared(line: Line, share: Decimal) -> Line:
    if share == 1:
        return line
    return replace(
        line,
        rate=line.rate * share,
        amount=(line.amount * share).quantize(_PLACES, ROUND_HALF_UP),
        note=f"by the tariff's share of the period, {share:.4f}",
    )


def _view(line: Line) -> BillLine:
    kind = _KINDS[line.kind]
    counted = kind in ("energy", "demand") and line.kind != "coincident"
    return BillLine(
        kind,
        line.name,
        line.quantity if counted else None,
        line.rate,
        line.amount,
        line.note,
    )
