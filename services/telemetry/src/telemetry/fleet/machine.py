"""A machine as the worker that polls it holds it in memory."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from telemetry.devices.device import Capabilities
from telemetry.domain.addresses import Network, is_simulated, may_contact
from telemetry.domain.alarm import Watch
from telemetry.domain.counters import Counters
from telemetry.domain.presence import Presence
from telemetry.domain.reading import Reading


@dataclass(slots=True, eq=False)
class SiteNetworks:
    """What one site permits and brings; replaced whole when the site changes."""

    id: UUID
    organisation_id: UUID
    networks: tuple[Network, ...]
    credentials: dict[str, str]
    version: int


@dataclass(slots=True, eq=False)
class Machine:
    """Identity and configuration from the read model, and what has been learned by polling."""

    id: UUID
    organisation_id: UUID
    client_id: UUID | None
    site: SiteNetworks
    address: str
    port: int
    firmware: str | None
    model: str
    nameplate_hashrate_ths: float | None
    nameplate_power_w: float | None
    partition: int
    version: int

    permitted: bool = False
    """Whether the address may be contacted; decided again when machine or site change."""
    simulated: bool = False
    active: bool = True
    """False once the machine has left this worker: whoever still holds it lets go."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One connection per miner: its API serves no two at a time."""
    polling: bool = False
    capabilities: Capabilities = field(default_factory=Capabilities)
    """What the device layer has learned about this miner; it alone reads it."""

    presence: Presence = field(default_factory=Presence)
    probe_slot: int = 0
    """A silent miner is contacted again from this slot on."""
    sampled_at: datetime | None = None
    reading: Reading | None = None
    """The latest answer, whatever it was."""
    outcome: str = ""
    flags: list[str] = field(default_factory=list[str])
    known: Reading | None = None
    """The latest answer with values."""
    known_at: datetime | None = None
    counters: Counters | None = None
    """As of the latest sample: extra polls in between must not swallow what was counted."""

    ordered_at: datetime | None = None
    """When the latest command came: an older one that waits for its turn is not sent any more."""
    curtailed_since: datetime | None = None
    ramping_until: datetime | None = None
    watches: dict[str, Watch] = field(default_factory=dict[str, Watch])
    alarm_values: dict[str, tuple[float | None, float | None]] = field(
        default_factory=dict[str, tuple[float | None, float | None]]
    )
    """Value and threshold of each rule at its last observation."""

    stored_online: bool | None = None
    """The verdict that the database holds; events follow from its changes."""
    stored_alerts: set[str] = field(default_factory=set[str])
    """Rules with an open alert in the database."""

    def decide(self, *, simulated_allowed: bool) -> None:
        """Decide whether this machine's address may be contacted, by its site's networks."""
        self.simulated = is_simulated(self.address)
        self.permitted = may_contact(
            self.address, self.port, self.site.networks, simulated_allowed=simulated_allowed
        )

    def has_moved(self, address: str, port: int, firmware: str | None) -> bool:
        """Return whether what is learned about the device no longer holds."""
        return (self.address, self.port, self.firmware) != (address, port, firmware)
