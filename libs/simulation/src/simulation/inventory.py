"""Who is in the fleet: the same specification always gives the same machines.

A machine depends on the seed, the mix and its own index only, never on how many
machines there are: the first 300 of a fleet of 6,000 are the fleet of 300.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from simulation.models import FAMILIES, MODELS_OF, Family, MinerModel

SIMULATED_NETWORK = IPv4Network("127.64.0.0/10")
FIRST_UNPRIVILEGED_PORT = 1024
LAST_PORT = 65535
MINERS_PER_RACK = 60
WEAK_BOARD_SHARE = 0.02
SIMULATED_PASSWORD = "simulated"  # noqa: S105  # opens nothing that is real
DEFAULT_MIX: Mapping[Family, float] = {"luxos": 0.5, "whatsminer": 0.3, "antminer": 0.2}


class BadSpec(ValueError):
    """The fleet cannot be built as written; the message says what to change."""


@dataclass(frozen=True)
class FleetSpec:
    """What to simulate. Two equal specifications are the same fleet."""

    miners: int = 300
    start: str = "127.64.0.1"
    port: int = 4028
    mix: Mapping[Family, float] = field(default_factory=lambda: dict(DEFAULT_MIX))
    seed: int = 7
    ramp_s: float = 30.0
    delay_s: float = 0.0
    quirk_share: float = 0.0  # share of stock Antminers whose stats lack a comma
    whatsminer_password: str = SIMULATED_PASSWORD

    def __post_init__(self) -> None:
        if self.miners < 1:
            raise BadSpec("A fleet has at least one miner.")
        if not FIRST_UNPRIVILEGED_PORT <= self.port <= LAST_PORT:
            raise BadSpec(f"Port {self.port} is not between 1024 and 65535.")
        first = IPv4Address(self.start)
        last = IPv4Address(min(int(first) + self.miners - 1, 0xFFFFFFFF))
        if first not in SIMULATED_NETWORK or last not in SIMULATED_NETWORK:
            raise BadSpec(f"{first} to {last} is not inside {SIMULATED_NETWORK}.")
        if not self.mix or any(share < 0 for share in self.mix.values()):
            raise BadSpec("The mix needs at least one family and no negative share.")
        if unknown := set(self.mix) - set(FAMILIES):
            raise BadSpec(f"Unknown families {sorted(unknown)}; known are {list(FAMILIES)}.")
        if sum(self.mix.values()) <= 0:
            raise BadSpec("The shares of the mix add up to nothing.")
        if self.ramp_s <= 0 or self.delay_s < 0:
            raise BadSpec("The ramp must be longer than zero and the delay not negative.")


@dataclass(frozen=True, slots=True)
class Unit:
    """One machine's identity and the small ways in which it differs from its label."""

    index: int
    address: str
    port: int
    family: Family
    model: MinerModel
    serial_number: str
    mac: str
    rack: str
    position: int
    hashrate_ths: float
    power_w: float
    sleep_w: float
    board_shares: tuple[float, ...]
    inlet_offset_c: float
    heat_rise_c: float
    phase: float
    reject_rate: float
    stale_rate: float
    hardware_error_rate: float  # errors per tera-hash
    uptime_at_start_s: float
    quirk: str | None


def units(spec: FleetSpec) -> list[Unit]:
    """Return every machine of the fleet, in address order."""
    return [
        _unit(spec, index, family)
        for index, family in zip(range(spec.miners), _families(spec.mix), strict=False)
    ]


def inventory(spec: FleetSpec) -> list[dict[str, str | int]]:
    """Return the rows of the sheet that a hosting site would import."""
    return [
        {
            "serial_number": unit.serial_number,
            "model": unit.model.name,
            "cgminer_ip": unit.address,
            "cgminer_port": unit.port,
            "firmware": unit.family,
            "rack": unit.rack,
            "position": unit.position,
        }
        for unit in units(spec)
    ]


def _families(mix: Mapping[Family, float]) -> Iterator[Family]:
    """Deal families so that every prefix of the fleet is as near to the mix as it can be."""
    total = sum(mix.values())
    owed = dict.fromkeys(mix, 0.0)
    while True:
        for family, share in mix.items():
            owed[family] += share / total
        chosen = max(owed, key=lambda family: owed[family])
        owed[chosen] -= 1
        yield chosen


def _unit(spec: FleetSpec, index: int, family: Family) -> Unit:
    dice = random.Random(f"{spec.seed}/{index}/{family}")
    model = dice.choice(MODELS_OF[family])
    address = IPv4Address(spec.start) + index
    shares = [1 + dice.uniform(-0.006, 0.006) for _ in range(model.boards)]
    if dice.random() < WEAK_BOARD_SHARE:  # it then hashes a little below its label
        shares[dice.randrange(model.boards)] *= 0.75
    strength = sum(shares) / model.boards
    low = int(address) & 0xFFFFFF
    return Unit(
        index=index,
        address=str(address),
        port=spec.port,
        family=family,
        model=model,
        serial_number=f"SIM-{spec.seed:04d}-{index:06d}",
        mac=f"02:51:4D:{low >> 16:02X}:{low >> 8 & 0xFF:02X}:{low & 0xFF:02X}",
        rack=f"R{index // MINERS_PER_RACK + 1:03d}",
        position=index % MINERS_PER_RACK + 1,
        hashrate_ths=model.hashrate_ths * strength * (1 + dice.uniform(-0.012, 0.018)),
        power_w=model.power_w * (1 + dice.gauss(0, 0.012)),
        sleep_w=dice.uniform(15, 40),
        board_shares=tuple(share / (strength * model.boards) for share in shares),
        inlet_offset_c=(index // MINERS_PER_RACK % 5) * 0.6 + dice.uniform(-0.8, 0.8),
        heat_rise_c=dice.uniform(27, 33),
        phase=dice.uniform(0, 6.283),
        reject_rate=dice.uniform(0.0005, 0.004),
        stale_rate=dice.uniform(0.0002, 0.002),
        hardware_error_rate=dice.uniform(0, 4e-5),
        uptime_at_start_s=dice.uniform(3600, 20 * 86400),
        quirk="missing_comma"
        if family == "antminer" and dice.random() < spec.quirk_share
        else None,
    )
