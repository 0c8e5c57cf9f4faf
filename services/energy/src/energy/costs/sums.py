"""Sums of energy and cost, and of whose they are."""

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final
from uuid import UUID

ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class CostSum:
    """What was used and what it cost, in one currency; amounts are 0 where nothing was rated."""

    currency: str | None
    """None: nothing of it is rated."""
    kwh: Decimal = ZERO
    """Known energy, rated or not."""
    unrated_kwh: Decimal = ZERO
    """The part of `kwh` for which no tariff was in force: its cost is not known, not 0."""
    th_h: float = 0.0
    energy_cost: Decimal = ZERO
    service_charge: Decimal = ZERO
    demand_charge: Decimal = ZERO
    other_charges: Decimal = ZERO
    """Coincident peak and minimum less credits and export."""
    taxes: Decimal = ZERO
    records: int = 0
    """Half-hours (of a site, of a client at a site, or of a machine) and records by hand."""
    machine_half_hours: int = 0
    unknown_half_hours: int = 0
    """Machine half-hours whose energy is not known: missing from the sum, never guessed."""
    split_records: int = 0
    """Half-hours in which the price changed: their energy is taken as uniform."""
    simulated: bool = False

    @property
    def total_cost(self) -> Decimal:
        """Energy and all charges."""
        charges = self.service_charge + self.demand_charge + self.other_charges + self.taxes
        return self.energy_cost + charges

    @property
    def coverage_percent(self) -> Decimal | None:
        """Share of machine half-hours whose energy is known; None where nothing was told."""
        if not self.machine_half_hours:
            return None
        known = self.machine_half_hours - self.unknown_half_hours
        return Decimal(100 * known) / self.machine_half_hours

    def plus(self, other: "CostSum") -> "CostSum":
        """Return the sum of both, which are in one currency."""
        added = {
            name: getattr(self, name) + getattr(other, name)
            for name in self.__slots__
            if name not in {"currency", "simulated"}
        }
        return replace(
            self,
            currency=self.currency or other.currency,
            simulated=self.simulated or other.simulated,
            **added,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose energy is meant; several conditions hold together, none means all one may see."""

    site_id: UUID | None = None
    location: str | None = None
    client_id: UUID | None = None
    miner_id: UUID | None = None
    miner_ip: str | None = None
    """Beside `miner_id` where a machine is known by it; alone it names records by hand."""

    def whole_sites(self) -> bool:
        """Return whether it is about sites as a whole, with their fixed charges."""
        return self.client_id is None and not self.one_machine()

    def one_machine(self) -> bool:
        """Return whether it is about a single machine."""
        return self.miner_id is not None or self.miner_ip is not None
