"""Kilograms of CO2 from half-hours of energy and of intensity: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from energy.usage.half_hours import HalfHours

Basis = Literal["actual", "forecast", "mixed", "stated", "unknown"]
_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Grams:
    """An intensity, and what it is: measured, forecast, or stated by somebody."""

    per_kwh: Decimal
    basis: Literal["actual", "forecast", "stated"]
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Footprint:
    """Energy and the CO2 of its generation, of a half-hour or of many."""

    kwh: Decimal
    kg_co2: Decimal | None
    """None where no intensity at all is known."""
    kwh_without_intensity: Decimal
    g_per_kwh: Decimal | None
    """Of the energy whose intensity is known."""
    basis: Basis
    simulated: bool


class _Sum:
    def __init__(self) -> None:
        self.kwh_e6 = 0
        self.known_kwh_e6 = 0
        self.grams_e6 = Decimal(0)
        self.bases: set[str] = set()
        self.simulated = False

    def add(self, kwh_e6: int, grams: Grams | None) -> None:
        self.kwh_e6 += kwh_e6
        if grams is not None:
            self.known_kwh_e6 += kwh_e6
            self.grams_e6 += kwh_e6 * grams.per_kwh
            self.bases.add(grams.basis)
            self.simulated |= grams.simulated

    def footprint(self, *, simulated: bool) -> Footprint:
        known = bool(self.bases)
        basis: Basis = "unknown" if not known else "mixed"
        if len(self.bases) == 1:
            basis = next(iter(self.bases))  # pyright: ignore[reportAssignmentType]  (one of Grams')
        per_kwh = self.grams_e6 / self.known_kwh_e6 if self.known_kwh_e6 else None
        return Footprint(
            kwh=_kwh(self.kwh_e6),
            kg_co2=_rounded(self.grams_e6 / 10**9) if known else None,
            kwh_without_intensity=_kwh(self.kwh_e6 - self.known_kwh_e6),
            g_per_kwh=None if per_kwh is None else _rounded(per_kwh),
            basis=basis,
            simulated=simulated or self.simulated,
        )


def by_half_hour(
    used: HalfHours, intensity: Mapping[int, Grams]
) -> list[tuple[datetime, Footprint]]:
    """Return each half-hour's footprint; intensities are by the second of their start."""
    rows: list[tuple[datetime, Footprint]] = []
    for start_s, kwh_e6 in zip(used.starts_s.tolist(), used.kwh_e6.tolist(), strict=True):
        one = _Sum()
        one.add(kwh_e6, intensity.get(start_s))
        at = datetime.fromtimestamp(start_s, UTC)
        rows.append((at, one.footprint(simulated=used.simulated)))
    return rows


def by_day(
    used: HalfHours, intensity: Mapping[int, Grams], zone: str
) -> list[tuple[date, Footprint]]:
    """Return each local day's footprint."""
    days: dict[date, _Sum] = {}
    place = ZoneInfo(zone)
    for start_s, kwh_e6 in zip(used.starts_s.tolist(), used.kwh_e6.tolist(), strict=True):
        day = datetime.fromtimestamp(start_s, place).date()
        days.setdefault(day, _Sum()).add(kwh_e6, intensity.get(start_s))
    return [(day, one.footprint(simulated=used.simulated)) for day, one in sorted(days.items())]


def total(used: HalfHours, intensity: Mapping[int, Grams]) -> Footprint:
    """Return the footprint of all half-hours together."""
    whole = _Sum()
    for start_s, kwh_e6 in zip(used.starts_s.tolist(), used.kwh_e6.tolist(), strict=True):
        whole.add(kwh_e6, intensity.get(start_s))
    return whole.footprint(simulated=used.simulated)


def _kwh(e6: int) -> Decimal:
    return Decimal(e6).scaleb(-6)


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(_PLACES, ROUND_HALF_UP)
