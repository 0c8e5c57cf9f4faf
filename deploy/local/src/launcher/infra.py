"""PostgreSQL, Redis and Kafka for tests: started once, left running, shared by all test runs.

The three addresses stand in `.local/test/infra.json`. Nothing here is durable; a machine restart
or `infra down` may throw all of it away.
"""

import fcntl
import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from launcher.kafka import Kafka, fetch_jars
from launcher.paths import LOCAL
from launcher.ports import free_ports
from launcher.postgres import Postgres, remove_data
from launcher.processes import (
    Program,
    raise_file_limit,
    read_pid,
    start_detached,
    stop,
)
from launcher.redis import Redis

DIRECTORY = LOCAL / "test"
ADDRESSES = DIRECTORY / "infra.json"


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """The three servers of one installation, below one directory."""

    postgres: Postgres
    redis: Redis
    kafka: Kafka

    @property
    def servers(self) -> tuple[Postgres, Redis, Kafka]:
        """All three, in the order of their start."""
        return self.postgres, self.redis, self.kafka

    def addresses(self) -> dict[str, str]:
        """Return what a test run needs to know."""
        return {
            "postgres_dsn": self.postgres.dsn,
            "redis_url": self.redis.url,
            "kafka_bootstrap": self.kafka.bootstrap,
        }


def throwaway(directory: Path, ports: list[int]) -> Infrastructure:
    """Describe infrastructure for tests: many databases and connections, nothing durable."""
    postgres, redis, kafka, controller = ports
    return Infrastructure(
        Postgres(directory / "postgres", postgres, durable=False, max_connections=400),
        Redis(directory / "redis", redis, durable=False, databases=1024),
        Kafka(directory / "kafka", kafka, controller),
    )


def up() -> bool:
    """Start what does not run yet and write the addresses; whether anything had to be started."""
    raise_file_limit()
    with _locked():
        if is_up():
            return False
        fetch_jars()
        infrastructure = throwaway(DIRECTORY, _ports())
        for server in infrastructure.servers:
            server.prepare()
            program = server.program()
            start_detached(
                program,
                pid_file=_pid_file(program.name),
                log=DIRECTORY / "log" / f"{program.name}.log",
            )
        ADDRESSES.write_text(json.dumps(infrastructure.addresses(), indent=2) + "\n")
    return True


def down() -> None:
    """Stop all three and remove their data."""
    with _locked():
        infrastructure = throwaway(DIRECTORY, _ports())
        for server in reversed(infrastructure.servers):
            _stop(server.program())
        ADDRESSES.unlink(missing_ok=True)
        remove_data(DIRECTORY / "postgres")
        for name in ("redis", "kafka", "log"):
            shutil.rmtree(DIRECTORY / name, ignore_errors=True)
        (DIRECTORY / "ports.json").unlink(missing_ok=True)


def status() -> dict[str, int | None]:
    """Return server name → process number, None for one that does not run."""
    return {name: read_pid(_pid_file(name)) for name in ("postgres", "redis", "kafka")}


def is_up() -> bool:
    """Whether all three run and answer."""
    if not ADDRESSES.exists() or None in status().values():
        return False
    return all(server.is_ready() for server in throwaway(DIRECTORY, _ports()).servers)


def _stop(program: Program) -> None:
    pid_file = _pid_file(program.name)
    pid = read_pid(pid_file)
    if pid is not None:
        stop(pid, by=program.stop_signal, within_s=program.stop_within_s)
    pid_file.unlink(missing_ok=True)


def _ports() -> list[int]:
    """Return the ports chosen at the first start: restarts keep them."""
    remembered = DIRECTORY / "ports.json"
    if remembered.exists():
        return json.loads(remembered.read_text())
    chosen = free_ports(4)
    remembered.write_text(json.dumps(chosen))
    return chosen


def _pid_file(name: str) -> Path:
    return DIRECTORY / f"{name}.pid"


@contextmanager
def _locked() -> Generator[None]:
    """Let one caller at a time start or stop things."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (DIRECTORY / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
