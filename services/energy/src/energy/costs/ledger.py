"""A local day of a site as a table of half-hours and machines: pure, no rows, no clock.

The newest revision of each machine counts, of one revision the part that came last; so the order
in which parts come, and how often, does not matter.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import numpy as np
import numpy.typing as npt

from energy.costs.packing import UNKNOWN, UNRATED, Floats, Ints
from energy.domain.shares import shares_nano

ABSENT: Final = -2
"""Nobody has told anything of the machine's half-hour."""
Flags = npt.NDArray[np.bool_]
Owner = tuple[UUID | None, UUID]
"""A client (None: the operator itself) and a machine of it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some machines of one client in one half-hour, by their column in a table."""

    row: int
    """Which half-hour of the day."""
    roster: Hashable
    kwh_e6: npt.NDArray[np.int32]
    th_h: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Table:
    """Machines in columns, those of one client beside each other; half-hours in rows."""

    owners: Sequence[Owner]
    kwh_e6: Ints
    th_h: Floats
    """NaN: not known."""

    def told(self) -> Flags:
        """Return of which machines telemetry has told anything."""
        return self.kwh_e6 != ABSENT

    def energy_e6(self) -> Ints:
        """Return the known energies, 0 elsewhere."""
        return np.maximum(self.kwh_e6, 0)

    def hashes(self) -> Floats:
        """Return the known hashes, 0 elsewhere."""
        return np.nan_to_num(self.th_h, nan=0.0)

    def clients(self) -> list[tuple[UUID | None, slice]]:
        """Return which columns are whose."""
        found: dict[UUID | None, slice] = {}
        for column, (client, _) in enumerate(self.owners):
            found[client] = slice(found[client].start if client in found else column, column + 1)
        return list(found.items())


def assemble(parts: Sequence[Part], rosters: dict[Any, Sequence[Owner]], half_hours: int) -> Table:
    """Return the table of a day's parts, which come in ascending order of what counts."""
    owners = sorted({one for roster in rosters.values() for one in roster}, key=_by_client)
    place = {owner: column for column, owner in enumerate(owners)}
    columns = {
        key: np.array([place[one] for one in roster], np.intp) for key, roster in rosters.items()
    }
    kwh = np.full((half_hours, len(owners)), ABSENT, np.int64)
    hashes = np.full((half_hours, len(owners)), np.nan)
    for part in parts:
        kwh[part.row, columns[part.roster]] = part.kwh_e6
        hashes[part.row, columns[part.roster]] = part.th_h
    table = Table(owners, kwh, hashes)
    _one_owner(table, parts, columns)
    return table


def _by_client(owner: Owner) -> tuple[bytes, bytes]:
    client, miner = owner
    return (client.bytes if client else b"", miner.bytes)


def _one_owner(table: Table, parts: Sequence[Part], columns: dict[Any, Any]) -> None:
    """Where a machine has changed hands, leave its half-hours to whom the newest part names."""
    if len({miner for _, miner in table.owners}) == len(table.owners):
        return
    of_machine: dict[UUID, list[int]] = {}
    for column, (_, miner) in enumerate(table.owners):
        of_machine.setdefault(miner, []).append(column)
    shared = [places for places in of_machine.values() if len(places) > 1]
    newest = np.full(table.kwh_e6.shape, -1, np.int64)
    for rank, part in enumerate(parts):
        newest[part.row, columns[part.roster]] = rank
    for places in shared:
        ranks = newest[:, places]
        older = ranks < ranks.max(axis=1, keepdims=True)
        table.kwh_e6[:, places] = np.where(older, ABSENT, table.kwh_e6[:, places])
        table.th_h[:, places] = np.where(older, np.nan, table.th_h[:, places])


def shares(energy_e6: Ints, cost_nano: Ints) -> Ints:
    """Return each machine's share of each half-hour's cost, by energy; shares add up exactly.

    A half-hour that is not rated has shares of 0.
    """
    return shares_nano(np.where(cost_nano == UNRATED, 0, cost_nano), energy_e6.T).T


@dataclass(frozen=True, slots=True)
class SiteLoad:
    """What a site as a whole did in each half-hour of a day."""

    kwh_e6: Ints
    th_h: Floats
    machines: Ints
    unknown: Ints

    def told(self) -> Flags:
        """Return of which half-hours anything is known."""
        return self.machines > 0


def site_load(table: Table) -> SiteLoad:
    """Return the sums over all machines."""
    return SiteLoad(
        kwh_e6=table.energy_e6().sum(axis=1),
        th_h=table.hashes().sum(axis=1),
        machines=table.told().sum(axis=1),
        unknown=(table.kwh_e6 == UNKNOWN).sum(axis=1),
    )


@dataclass(frozen=True, slots=True)
class OwnerDay:
    """A day of one client's machines: sums by machine, and by half-hour."""

    client_id: UUID | None
    miner_ids: Sequence[UUID]
    machine_kwh_e6: Ints
    machine_unrated_e6: Ints
    machine_cost_nano: Ints
    machine_th_h: Floats
    machine_told: Ints
    machine_unknown: Ints
    half_hour_kwh_e6: Ints
    half_hour_cost_nano: Ints
    half_hour_th_h: Floats
    half_hour_machines: Ints
    half_hour_unknown: Ints


def owner_days(table: Table, cost_nano: Ints) -> list[OwnerDay]:
    """Return each client's day at the given cost of the whole site's half-hours."""
    energy, hashes, told = table.energy_e6(), table.hashes(), table.told()
    unknown = table.kwh_e6 == UNKNOWN
    share = shares(energy, cost_nano)
    unrated = cost_nano == UNRATED
    days: list[OwnerDay] = []
    for client_id, columns in table.clients():
        mine = energy[:, columns]
        cost = share[:, columns].sum(axis=1)
        days.append(
            OwnerDay(
                client_id=client_id,
                miner_ids=[miner for _, miner in table.owners[columns]],
                machine_kwh_e6=mine.sum(axis=0),
                machine_unrated_e6=mine[unrated].sum(axis=0),
                machine_cost_nano=share[:, columns].sum(axis=0),
                machine_th_h=hashes[:, columns].sum(axis=0),
                machine_told=told[:, columns].sum(axis=0),
                machine_unknown=unknown[:, columns].sum(axis=0),
                half_hour_kwh_e6=mine.sum(axis=1),
                half_hour_cost_nano=np.where(unrated, UNRATED, cost),
                half_hour_th_h=hashes[:, columns].sum(axis=1),
                half_hour_machines=told[:, columns].sum(axis=1),
                half_hour_unknown=unknown[:, columns].sum(axis=1),
            )
        )
    return days
