"""The fleet in memory: the machines of the partitions that this worker holds.

The database is read at assignment, and afterwards every second for what changed. A full read every
five minutes makes up for a change that committed late.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from common.runtime import Runtime
from telemetry.devices.device import Capabilities
from telemetry.domain.addresses import networks
from telemetry.domain.alarm import Watch
from telemetry.domain.counters import counters_of
from telemetry.domain.presence import Presence
from telemetry.domain.reading import Outcome, Reading
from telemetry.fleet.machine import Machine, SiteNetworks
from telemetry.samples.verdicts import let_go

log = get_logger()
_OVERLAP = timedelta(seconds=10)
_FULL_EVERY = 300
_NEVER = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

_NOW = text("SELECT now()")
_SITES = text(
    "SELECT id, organisation_id, allowed_cidrs, credentials, version FROM telemetry.site "
    "WHERE NOT removed AND changed_at >= :since"
)
_MODELS = text(
    "SELECT organisation_id, names, hashrate_ths, power_w FROM telemetry.miner_model "
    "WHERE NOT removed AND changed_at >= :since"
)
_MINERS = text(
    "SELECT id, organisation_id, client_id, site_id, model, firmware, ip, port, polled, removed, "
    "nameplate_hashrate_ths, nameplate_power_w, partition, version "
    "FROM telemetry.miner WHERE partition = ANY(:partitions) AND changed_at >= :since"
)
_STATES = text(
    "SELECT s.* FROM telemetry.miner_state s JOIN telemetry.miner m ON m.id = s.miner_id "
    "WHERE m.partition = ANY(:partitions)"
)
_ALERTS = text(
    "SELECT a.miner_id, a.rule FROM telemetry.alert a JOIN telemetry.miner m ON m.id = a.miner_id "
    "WHERE m.partition = ANY(:partitions) AND a.cleared_at IS NULL"
)
_TAKE = text(
    "INSERT INTO telemetry.partition_owner AS o (partition, epoch, worker_id, taken_at) "
    "SELECT unnest(CAST(:partitions AS smallint[])), 1, :worker, now() "
    "ON CONFLICT (partition) DO UPDATE SET epoch = o.epoch + 1, worker_id = :worker, "
    "taken_at = now() RETURNING partition, epoch"
)
_NEWER = text("SELECT partition, epoch FROM telemetry.partition_owner")


class Roster:
    """The machines of the owned partitions, by id."""

    def __init__(self, runtime: Runtime, worker_id: UUID) -> None:
        self._runtime = runtime
        self._worker_id = worker_id
        self._epochs: dict[int, int] = {}
        self._wanted: frozenset[int] = frozenset()
        self._changed = asyncio.Event()
        self._sites: dict[UUID, SiteNetworks] = {}
        self._models: dict[tuple[UUID, str], tuple[float, float]] = {}
        self._since = _NEVER
        self.machines: dict[UUID, Machine] = {}
        self.on_added: list[Callable[[list[Machine]], None]] = []
        """Called with machines that this worker polls from now on."""

    @property
    def partitions(self) -> list[int]:
        """The partitions that this worker holds."""
        return sorted(self._epochs)

    def assign(self, partitions: frozenset[int]) -> None:
        """Take note of a new assignment; the machines follow at the next refresh, at once."""
        self._wanted = partitions
        self._changed.set()

    async def run(self) -> None:
        """Follow assignment and read model, for ever. Without the database: what is held stays."""
        rounds = 0
        while True:
            try:
                await self.refresh(full=rounds % _FULL_EVERY == 0)
            except Exception as error:  # noqa: BLE001  (polling goes on with what is known)
                log.warning("roster.refresh_failed", error=repr(error)[:300])
            else:
                rounds += 1
            try:
                async with asyncio.timeout(1.0):
                    await self._changed.wait()
            except TimeoutError:
                pass

    async def refresh(self, *, full: bool = False) -> None:
        """Bring the fleet in memory in step with assignment and read model."""
        self._changed.clear()
        wanted = self._wanted
        async with self._runtime.worker_session() as session:
            read_at: datetime = (await session.execute(_NOW)).scalar_one()
            taken = await self._take(session, wanted - self._epochs.keys())
            await self._drop_lost(session, wanted)
            since = _NEVER if full else self._since - _OVERLAP
            await self._load_sites(session, since)
            await self._load_models(session, since)
            held = self._epochs.keys() - taken.keys()
            rows = await _rows(session, _MINERS, partitions=list(held), since=since)
            fresh = await _rows(session, _MINERS, partitions=list(taken), since=_NEVER)
            added = self._apply(rows) + self._apply(fresh)
            await self._restore(session, added)
            if full or rows:
                await let_go(session, [*self._epochs, *taken])
        self._epochs |= taken
        self._since = read_at
        if added:
            for listener in self.on_added:
                listener(added)

    async def _take(self, session: AsyncSession, new: Iterable[int]) -> dict[int, int]:
        new = sorted(new)
        if not new:
            return {}
        rows = await _rows(session, _TAKE, partitions=new, worker=self._worker_id)
        return {row["partition"]: row["epoch"] for row in rows}

    async def _drop_lost(self, session: AsyncSession, wanted: frozenset[int]) -> None:
        """Let go of partitions that are assigned elsewhere, by Kafka or by the database's word."""
        newest = {row["partition"]: row["epoch"] for row in await _rows(session, _NEWER)}
        lost = {
            partition
            for partition, epoch in self._epochs.items()
            if partition not in wanted or newest.get(partition, 0) > epoch
        }
        if not lost:
            return
        if self._wanted is wanted:
            # A zombie must not take back what another worker was given: Kafka will assign anew.
            self._wanted = wanted - lost
        for partition in lost:
            del self._epochs[partition]
        for machine in [m for m in self.machines.values() if m.partition in lost]:
            self._forget(machine)

    def _forget(self, machine: Machine) -> None:
        machine.active = False
        self.machines.pop(machine.id, None)

    async def _load_sites(self, session: AsyncSession, since: datetime) -> None:
        for row in await _rows(session, _SITES, since=since):
            known = self._sites.get(row["id"])
            if known is not None and known.version >= row["version"]:
                continue
            site = SiteNetworks(
                id=row["id"],
                organisation_id=row["organisation_id"],
                networks=networks(row["allowed_cidrs"]),
                credentials=row["credentials"],
                version=row["version"],
            )
            self._sites[site.id] = site
            for machine in self.machines.values():
                if machine.site.id == site.id:
                    machine.site = site
                    self._decide(machine)

    async def _load_models(self, session: AsyncSession, since: datetime) -> None:
        self._models |= {
            (row["organisation_id"], name): (row["hashrate_ths"], row["power_w"])
            for row in await _rows(session, _MODELS, since=since)
            for name in row["names"]
        }

    def _apply(self, rows: list[RowMapping]) -> list[Machine]:
        """Update machines in place, drop those no longer polled, return those that are new."""
        added: list[Machine] = []
        for row in rows:
            known = self.machines.get(row["id"])
            if known is not None and known.version >= row["version"]:
                # The model may have come to be known after the machine.
                known.nameplate_hashrate_ths, known.nameplate_power_w = self._nameplate(row)
                continue
            if row["removed"] or not row["polled"]:
                if known is not None:
                    self._forget(known)
                continue
            if known is None:
                machine = self._machine(row)
                self._decide(machine)
                self.machines[machine.id] = machine
                added.append(machine)
            else:
                self._update(known, row)
                self._decide(known)
        return added

    def _decide(self, machine: Machine) -> None:
        allowed = self._runtime.settings.allow_simulated_miners
        machine.decide(simulated_allowed=allowed)

    def _machine(self, row: RowMapping) -> Machine:
        hashrate, power = self._nameplate(row)
        return Machine(
            id=row["id"],
            organisation_id=row["organisation_id"],
            client_id=row["client_id"],
            site=self._site(row),
            address=row["ip"],
            port=row["port"],
            firmware=row["firmware"],
            model=row["model"],
            nameplate_hashrate_ths=hashrate,
            nameplate_power_w=power,
            partition=row["partition"],
            version=row["version"],
        )

    def _update(self, machine: Machine, row: RowMapping) -> None:
        if machine.has_moved(row["ip"], row["port"], row["firmware"]):
            machine.capabilities = Capabilities()
            machine.known = machine.counters = None
        machine.client_id, machine.site = row["client_id"], self._site(row)
        machine.address, machine.port, machine.firmware = row["ip"], row["port"], row["firmware"]
        machine.model, machine.version = row["model"], row["version"]
        machine.nameplate_hashrate_ths, machine.nameplate_power_w = self._nameplate(row)

    def _site(self, row: RowMapping) -> SiteNetworks:
        """Return the machine's site; one that is not known yet permits nothing."""
        return self._sites.get(row["site_id"]) or SiteNetworks(
            row["site_id"], row["organisation_id"], (), {}, -1
        )

    def _nameplate(self, row: RowMapping) -> tuple[float | None, float | None]:
        name = row["model"].lower()
        model = self._models.get((row["organisation_id"], name)) or self._models.get(
            (UUID(int=0), name), (None, None)
        )
        return row["nameplate_hashrate_ths"] or model[0], row["nameplate_power_w"] or model[1]

    async def _restore(self, session: AsyncSession, added: list[Machine]) -> None:
        """Give new machines what was known of them before: verdicts, alerts, curtailment."""
        if not added:
            return
        mine = {machine.id: machine for machine in added}
        partitions = sorted({machine.partition for machine in added})
        for row in await _rows(session, _STATES, partitions=partitions):
            if row["miner_id"] in mine:
                restore(mine[row["miner_id"]], row)
        for row in await _rows(session, _ALERTS, partitions=partitions):
            if row["miner_id"] in mine:
                mine[row["miner_id"]].stored_alerts.add(row["rule"])


def restore(machine: Machine, row: RowMapping) -> None:
    """Bring back what the last worker knew of a machine."""
    machine.presence = Presence(row["online"], row["silent_slots"])
    machine.stored_online = row["online"]
    machine.curtailed_since = row["curtailed_since"]
    machine.ramping_until = row["ramping_until"]
    machine.watches = {name: Watch(*state) for name, state in row["watches"].items()}
    machine.outcome = row["outcome"]
    if row["known_at"] is not None:
        machine.known_at = row["known_at"]
        counters: dict[str, Any] = row["known_counters"]
        machine.known = Reading(
            outcome=Outcome.OK,
            hashrate_5s_ths=row["known_hashrate_ths"],
            power_w=row["known_power_w"],
            power_estimated=row["known_power_estimated"],
            mining_uptime_s=row["known_uptime_s"],
            **counters,
        )
        machine.counters = counters_of(machine.known)


async def _rows(session: AsyncSession, query: Any, **parameters: Any) -> list[RowMapping]:
    return list((await session.execute(query, parameters)).mappings())
