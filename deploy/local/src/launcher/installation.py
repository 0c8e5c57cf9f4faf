"""One installation: its directory, ports, secrets and size; what every program is told.

Compose and Kubernetes give the services the same names; a test compares the three.
"""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from random import SystemRandom

from launcher.infra import Infrastructure
from launcher.kafka import Kafka
from launcher.ports import free_ports
from launcher.postgres import Postgres
from launcher.redis import Redis

SERVICES: Mapping[str, tuple[int, int]] = {
    "gateway": (8080, 9080),
    "calculator": (8101, 9101),
    "hosting": (8102, 9102),
    "telemetry": (8103, 9103),
    "intelligence": (8104, 9104),
    "energy": (8105, 9105),
}
"""Every service with its port and its operations port."""
CALLS: Mapping[str, tuple[str, ...]] = {"hosting": ("telemetry", "intelligence")}
"""Which service calls which over HTTP; the gateway calls all."""
ROLES = ("owner", "app", "worker")
DATABASE = "hashyard"
READER = "demo_reader"
QUOTE_SOURCES = ("COINGECKO", "BLOCKCHAIN", "MEMPOOL", "ANKR")
VENUES = ("binance", "okx", "deribit", "bybit")
PEOPLE = ("admin", "owner", "host", "client")

_INFRASTRUCTURE_PORTS = {"postgres": 15432, "redis": 16379, "kafka": 19092, "kafka-control": 19093}
_SIMULATED_PORTS = {"simulation": 4999, "market": 4998, "elexon": 4997, "grid": 4996}
_FIRST_MINER = "127.64.0.1"


def ops(service: str) -> str:
    """Return the name under which a service's operations port is kept."""
    return f"{service}-ops"


def fixed_ports() -> dict[str, int]:
    """Return the ports of the one installation that people use."""
    ports = {**_INFRASTRUCTURE_PORTS, **_SIMULATED_PORTS}
    for service, (port, ops_port) in SERVICES.items():
        ports |= {service: port, ops(service): ops_port}
    return ports


@dataclass(frozen=True, slots=True)
class Installation:
    """What is decided before anything starts."""

    directory: Path
    fleet: int = 300
    slot_seconds: int = 60
    first_miner: str = _FIRST_MINER
    durable: bool = True
    live_market: bool = False
    """Whether prices come from real exchanges; without a way out they are simulated, and say so."""
    ports: Mapping[str, int] = field(default_factory=fixed_ports)
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    fleet_options: tuple[str, ...] = ()

    def save(self) -> None:
        """Write the decisions down for the supervisor, and for the next start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        kept = {
            "fleet": self.fleet,
            "slot_seconds": self.slot_seconds,
            "first_miner": self.first_miner,
            "durable": self.durable,
            "live_market": self.live_market,
            "ports": dict(self.ports),
            "environment": dict(self.environment),
            "fleet_options": self.fleet_options,
        }
        (self.directory / "installation.json").write_text(json.dumps(kept, indent=2) + "\n")

    @property
    def infrastructure(self) -> Infrastructure:
        """The three servers."""
        kept = self.secrets()
        return Infrastructure(
            Postgres(
                self.directory / "postgres",
                self.ports["postgres"],
                durable=self.durable,
                max_connections=300,
                password=kept["postgres_password"],
            ),
            Redis(self.directory / "redis", self.ports["redis"], durable=self.durable),
            Kafka(self.directory / "kafka-node", self.ports["kafka"], self.ports["kafka-control"]),
        )

    @property
    def gateway_url(self) -> str:
        """Where people and clients go."""
        return self.url("gateway")

    def url(self, service: str) -> str:
        """Return a service's address."""
        return f"http://127.0.0.1:{self.ports[service]}"

    def ops_url(self, service: str) -> str:
        """Return the address of a service's health and metrics."""
        return f"http://127.0.0.1:{self.ports[ops(service)]}"

    def log(self, program: str) -> Path:
        """Return where a program's output goes."""
        return self.directory / "log" / f"{program}.log"

    @property
    def mail_folder(self) -> Path:
        """Where letters are laid down, as there is no mail server."""
        return self.directory / "mail"

    def secrets(self) -> dict[str, str]:
        """Return this installation's secrets; those that are missing are made and kept."""
        path = self.directory / "secrets.json"
        kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        made = {name: make for name, make in _new_secrets().items() if name not in kept}
        if made:
            kept |= made
            write_private(path, kept)
        return kept

    def owner_dsns(self) -> dict[str, str]:
        """Return, per service, the address under which its migrations run."""
        return {name: self._dsn(name, "owner") for name in SERVICES}

    def environment_of(self, service: str) -> dict[str, str]:
        """Return everything that one service's process is told."""
        prefix, kept = service.upper(), self.secrets()
        own = {
            f"{prefix}_DATABASE_URL": self._dsn(service, "app"),
            f"{prefix}_WORKER_DATABASE_URL": self._dsn(service, "worker"),
            f"{prefix}_INTERNAL_KEY": kept[f"{service}_internal_key"],
            f"{prefix}_PORT": str(self.ports[service]),
            f"{prefix}_OPS_PORT": str(self.ports[ops(service)]),
        }
        for callee in CALLS.get(service, ()):
            own[f"{prefix}_{callee.upper()}_URL"] = self.url(callee)
            own[f"{prefix}_{callee.upper()}_KEY"] = kept[f"{callee}_internal_key"]
        special = {
            "gateway": self._gateway_environment,
            "telemetry": self._telemetry_environment,
            "hosting": self._device_environment,
            "calculator": self._quotes_environment,
            "intelligence": self._market_environment,
            "energy": self._energy_environment,
        }.get(service, dict[str, str])()
        return {**self._shared_environment(), **own, **special, **self.environment}

    def _shared_environment(self) -> dict[str, str]:
        return {
            "ENVIRONMENT": "development",
            "LOG_LEVEL": "INFO",
            "KAFKA_BOOTSTRAP": f"127.0.0.1:{self.ports['kafka']}",
            "KAFKA_TOPIC_PREFIX": "",
            "REDIS_URL": f"redis://127.0.0.1:{self.ports['redis']}/0",
            "ALLOW_SIMULATED_MINERS": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def _gateway_environment(self) -> dict[str, str]:
        kept = self.secrets()
        behind = [name for name in SERVICES if name != "gateway"]
        return {
            "GATEWAY_UPSTREAMS": json.dumps({name: self.url(name) for name in behind}),
            "GATEWAY_UPSTREAM_KEYS": json.dumps(
                {name: kept[f"{name}_internal_key"] for name in behind}
            ),
            "GATEWAY_PUBLIC_URL": self.gateway_url,
            "GATEWAY_SIGNING_KEY": kept["gateway_signing_key"],
            "GATEWAY_API_KEY_PEPPER": kept["gateway_api_key_pepper"],
            "GATEWAY_ADMIN_EMAIL": email("admin"),
            "GATEWAY_ADMIN_PASSWORD": kept["admin_password"],
        }

    def _device_environment(self) -> dict[str, str]:
        return {"DEVICE_CREDENTIAL_KEY": self.secrets()["device_credential_key"]}

    def _telemetry_environment(self) -> dict[str, str]:
        # A short slot means a test that waits for it: prove at the same pace.
        proof = min(5.0, max(1.0, self.slot_seconds / 2))
        return {
            **self._device_environment(),
            "TELEMETRY_SLOT_SECONDS": str(self.slot_seconds),
            "TELEMETRY_PROOF_POLL_SECONDS": f"{proof:g}",
        }

    def _quotes_environment(self) -> dict[str, str]:
        """Quotes of record are real or none: without a way out a person records one (the seed)."""
        return {} if self.live_market else {f"CALCULATOR_{name}_URL": "" for name in QUOTE_SOURCES}

    def _market_environment(self) -> dict[str, str]:
        if self.live_market:
            return {}
        market = self.url("market")
        return {f"INTELLIGENCE_{venue.upper()}_URL": f"{market}/{venue}" for venue in VENUES}

    def _energy_environment(self) -> dict[str, str]:
        """Letters go to a folder; without a way out wind, carbon and currencies are simulated."""
        told = {
            "GATEWAY_PUBLIC_URL": self.gateway_url,
            "MAIL_SMTP_URL": "",
            "MAIL_FROM": "Hashyard <hashyard@localhost>",
            "MAIL_FOLDER": str(self.mail_folder),
            "ENERGY_WIND_ENABLED": str(self.live_market).lower(),
        }
        if self.live_market:
            return told
        grid = self.url("grid")
        return told | {
            "ENERGY_ELEXON_URL": f"{self.url('elexon')}/bmrs/api/v1",
            "ENERGY_WIND_RATE_PER_S": "200",
            "ENERGY_CARBON_URL": f"{grid}/carbon",
            "ENERGY_CURRENCIES_URL": f"{grid}/ecb",
        }

    def _dsn(self, service: str, role: str) -> str:
        name = f"{service}_{role}"
        dsn = self.infrastructure.postgres.dsn_of(
            name, self.secrets()[f"{name}_password"], DATABASE
        )
        return dsn.replace("postgresql://", "postgresql+asyncpg://", 1)


def load(directory: Path) -> Installation | None:
    """Return the installation of a directory, None where there is none yet."""
    path = directory / "installation.json"
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    kept["fleet_options"] = tuple(kept["fleet_options"])
    kept["ports"] = fixed_ports() | kept["ports"]  # an older release knew fewer programs
    return Installation(directory=directory, **kept)


def email(person: str) -> str:
    """Return the demo login of a person."""
    return f"{person}@hashyard.example"


def any_ports() -> dict[str, int]:
    """Return ports for an installation that must not be in anybody's way."""
    names = fixed_ports()
    return dict(zip(names, free_ports(len(names)), strict=True))


def any_first_miner() -> str:
    """Return where a fleet starts that must not be in anybody's way."""
    dice = SystemRandom()
    # /18 steps: room for 16,000 machines, and none near the fleet of `make up`.
    start = int(IPv4Address("127.66.0.0")) + dice.randrange(240) * 2**14
    return str(IPv4Address(start + 1))


def write_private(path: Path, content: object) -> None:
    """Write JSON that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
    fresh.replace(path)


def _new_secrets() -> dict[str, str]:
    """Make one of each secret; people's passwords are DEMO_PASSWORD where that is set."""

    def key() -> str:
        return base64.b64encode(secrets.token_bytes(32)).decode()

    made = {
        "postgres_password": secrets.token_urlsafe(24),
        f"{READER}_password": secrets.token_urlsafe(24),
        "device_credential_key": key(),
        "gateway_signing_key": key(),
        "gateway_api_key_pepper": secrets.token_urlsafe(48),
    }
    for service in SERVICES:
        made[f"{service}_internal_key"] = secrets.token_urlsafe(48)
        for role in ROLES:
            made[f"{service}_{role}_password"] = secrets.token_urlsafe(24)
    for person in PEOPLE:
        made[f"{person}_password"] = os.environ.get("DEMO_PASSWORD") or secrets.token_urlsafe(12)
    return made
