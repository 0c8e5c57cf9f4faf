"""Lines of profit and loss, and how thousands of machines' are added up: in columns."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import numpy as np

from energy.costs.daily import MachineDay
from energy.costs.packing import Floats, Ints

ZERO: Final = Decimal(0)
_NANO: Final = 9
_PICO: Final = 12


def plus(total: Decimal | None, part: Decimal | None) -> Decimal | None:
    """Return a sum, None where a part is not known."""
    return None if total is None or part is None else total + part


@dataclass(slots=True)
class Line:
    """Sums of one machine, client or site; None once a part is not known."""

    site_id: UUID | None = None
    client_id: UUID | None = None
    kwh: Decimal = ZERO
    unrated_kwh: Decimal = ZERO
    th_h: float = 0.0
    bitcoin: Decimal | None = ZERO
    revenue: Decimal | None = ZERO
    energy: Decimal | None = ZERO
    fixed: Decimal | None = ZERO
    """None: of a part of a site, which bears none."""
    told: int = 0
    unknown: int = 0

    def total(self) -> Decimal | None:
        """Return the cost of energy, of a site with its fixed charges."""
        return self.energy if self.fixed is None else plus(self.energy, self.fixed)

    def profit(self) -> Decimal | None:
        """Return what is left of the revenue."""
        total = self.total()
        return plus(self.revenue, -total if total is not None else None)


class Columns:
    """Sums by machine. Hashes are measured with 24 bits: their worth is rounded to billionths."""

    def __init__(self, miner_ids: Iterable[UUID]) -> None:
        self._ids = list(miner_ids)
        self._place = {miner_id: place for place, miner_id in enumerate(self._ids)}
        self._rosters: dict[int, Any] = {}
        names = ("kwh", "unrated", "energy", "revenue", "bitcoin", "told", "unknown")
        self._sums: dict[str, Ints] = {name: np.zeros(len(self._ids), np.int64) for name in names}
        self._th_h: Floats = np.zeros(len(self._ids))
        self._missing = {
            name: np.zeros(len(self._ids), np.bool_) for name in ("energy", "revenue", "bitcoin")
        }
        self._converted: list[tuple[Ints, Ints, Decimal]] = []
        self._owner: list[MachineDay | None] = [None] * len(self._ids)

    def add(
        self,
        day: MachineDay,
        btc_per_th_h: Decimal | None,
        usd_per_th_h: Decimal | None,
        usd_rate: Decimal | None,
    ) -> None:
        """Add a day; None: a factor that is not known."""
        rows = self._rows(day.miner_ids)
        for name, column in (
            ("kwh", day.kwh_e6), ("unrated", day.unrated_e6), ("told", day.told),
            ("unknown", day.unknown),
        ):  # fmt: skip
            self._sums[name][rows] += column
        self._th_h[rows] += day.th_h
        self._worth("bitcoin", rows, day.th_h, btc_per_th_h, _PICO)
        self._worth("revenue", rows, day.th_h, usd_per_th_h, _NANO)
        lost = day.unrated_e6 > 0
        if usd_rate is None:
            lost |= day.cost_nano != 0
        elif usd_rate == 1:
            self._sums["energy"][rows] += day.cost_nano
        else:
            self._converted.append((rows, day.cost_nano, usd_rate))
        self._missing["energy"][rows] |= lost
        for row, told in zip(rows.tolist(), day.told.tolist(), strict=True):
            if told:
                self._owner[row] = day

    def _rows(self, miner_ids: Sequence[UUID]) -> Any:
        known = self._rosters.get(id(miner_ids))
        if known is None:
            known = np.array([self._place[one] for one in miner_ids], np.intp)
            self._rosters[id(miner_ids)] = known
        return known

    def _worth(
        self, name: str, rows: Any, th_h: Floats, factor: Decimal | None, places: int
    ) -> None:
        if factor is None:
            self._missing[name][rows] |= th_h > 0
        else:
            amounts = np.rint(th_h * float(factor.scaleb(places)))
            self._sums[name][rows] += amounts.astype(np.int64)

    def lines(self) -> Iterator[tuple[UUID, Line]]:
        """Yield the machines of which anything was told."""
        converted: dict[int, Decimal] = {}
        for rows, costs, rate in self._converted:
            for row, cost in zip(rows.tolist(), costs.tolist(), strict=True):
                converted[row] = converted.get(row, ZERO) + Decimal(cost).scaleb(-_NANO) * rate
        sums = {name: column.tolist() for name, column in self._sums.items()}
        for row, miner_id in enumerate(self._ids):
            day = self._owner[row]
            if day is None:
                continue
            energy = Decimal(sums["energy"][row]).scaleb(-_NANO) + converted.get(row, ZERO)
            yield (
                miner_id,
                Line(
                    site_id=day.site_id,
                    client_id=day.client_id,
                    kwh=Decimal(sums["kwh"][row]).scaleb(-6),
                    unrated_kwh=Decimal(sums["unrated"][row]).scaleb(-6),
                    th_h=float(self._th_h[row]),
                    bitcoin=self._known(
                        "bitcoin", row, Decimal(sums["bitcoin"][row]).scaleb(-_PICO)
                    ),
                    revenue=self._known(
                        "revenue", row, Decimal(sums["revenue"][row]).scaleb(-_NANO)
                    ),
                    energy=self._known("energy", row, energy),
                    fixed=None,
                    told=sums["told"][row],
                    unknown=sums["unknown"][row],
                ),
            )

    def _known(self, name: str, row: int, amount: Decimal) -> Decimal | None:
        return None if self._missing[name][row] else amount
