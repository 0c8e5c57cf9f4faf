"""The one background process that starts everything in order and keeps it running.

It reports through `status.json` and is told to leave a program alone by a file in `hold/`, so
that whoever started it may go away, and any other process may ask. SIGTERM stops everything.
"""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from types import FrameType

from launcher import database
from launcher.installation import SERVICES, Installation
from launcher.kafka import fetch_jars
from launcher.processes import (
    NotReadyError,
    Program,
    raise_file_limit,
    read_pid,
    tail,
    write_pid,
)
from launcher.programs import (
    FLEET,
    PARTIES,
    fleet_program,
    party_programs,
    readiness,
    service_programs,
)
from launcher.status import Status, Step
from launcher.watched import Watched

OWNER_FILE = "owner.pid"
_TICK_S = 0.1
_GATE_S = 90.0
_LARGEST_LOG_BYTES = 64 * 1024 * 1024
_LOOK_AT_LOGS_EVERY_S = 30.0


class StoppedError(Exception):
    """Somebody asked us to stop while we were starting."""


class Supervisor:
    """Runs one installation until it is told to stop."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._directory = installation.directory
        self._status = Status()
        self._reported = ""
        self._stopping = False
        self._watched: dict[str, Watched] = {}
        self._look_at_logs_at = 0.0

    def run(self) -> int:
        """Start everything, keep it running, stop it; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_stop)
        raise_file_limit()
        write_pid(self._directory / "supervisor.pid", os.getpid())
        code = 0
        try:
            self._bring_up()
            self._keep()
        except StoppedError:
            pass
        except Exception as error:  # noqa: BLE001  (whatever it is must reach the status file)
            self._status.message, code = f"{type(error).__name__}: {error}", 1
        self._bring_down()
        self._status.phase = "failed" if code else "stopped"
        self._report()
        (self._directory / "supervisor.pid").unlink(missing_ok=True)
        return code

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _bring_up(self) -> None:
        infrastructure = self._installation.infrastructure
        with self._step("PostgreSQL, Redis"):
            fetch_jars()
            for server in (infrastructure.postgres, infrastructure.redis):
                server.prepare()
                self._start(server.program())
            self._wait_for("postgres", "redis")
        infrastructure.kafka.prepare()
        self._start(infrastructure.kafka.program())  # comes up while the schemas are made
        with self._step("Roles and schemas"):
            behind = database.prepare(self._installation)
        if behind:
            with self._step(f"Migrations: {', '.join(behind)}"):
                database.migrate(self._installation, behind)
        database.open_to_reader(self._installation)
        with self._step("Kafka"):
            self._wait_for("kafka")
        with self._step(f"Services, and {self._installation.fleet} simulated miners"):
            programs = [
                fleet_program(self._installation),
                *service_programs(self._installation),
            ]
            if not self._installation.live_market:
                programs += party_programs(self._installation)
            for program in programs:
                self._start(program)
            self._wait_for(*(program.name for program in programs))
        self._status.phase = "ready"

    def _start(self, program: Program) -> None:
        log = self._installation.log(program.name)
        watched = Watched(program, directory=self._directory, log=log)
        self._watched[watched.name] = watched
        self._status.programs[watched.name] = watched.status
        watched.start()

    def _wait_for(self, *names: str) -> None:
        """Tick until these programs are ready."""
        deadline = time.monotonic() + _GATE_S
        while any(self._watched[name].status.state != "ready" for name in names):
            self._tick()
            if time.monotonic() > deadline:
                raise NotReadyError(self._why_not(names))

    def _why_not(self, names: Iterable[str]) -> str:
        sentences: list[str] = []
        for name in names:
            status = self._watched[name].status
            if status.state == "ready":
                continue
            ops = self._installation.ports.get(f"{name}-ops")
            words = readiness(ops)[1] if ops and status.pid else status.note
            sentences.append(f"{name} is {status.state} ({words}).")
            sentences.append(tail(self._installation.log(name)))
        return f"Not ready after {_GATE_S:.0f} s. " + "\n".join(sentences)

    def _keep(self) -> None:
        while True:
            self._tick()

    def _tick(self) -> None:
        if self._stopping or self._is_orphaned():
            raise StoppedError
        for watched in self._watched.values():
            watched.tick()
        self._report()
        self._shorten_logs()
        time.sleep(_TICK_S)

    def _is_orphaned(self) -> bool:
        """Whether the process that we were started for is gone; most have none."""
        owner = self._directory / OWNER_FILE
        return owner.exists() and read_pid(owner) is None

    def _bring_down(self) -> None:
        """Stop in order: nobody loses what it stands on before it has ended itself."""
        self._status.phase = "stopping"
        behind = [name for name in SERVICES if name != "gateway"]
        for group in (["gateway"], behind, [FLEET, *PARTIES], ["kafka", "redis"], ["postgres"]):
            present = [self._watched[name] for name in group if name in self._watched]
            for watched in present:
                watched.ask_to_stop()
            self._report()
            for watched in present:
                watched.finish()

    @contextmanager
    def _step(self, title: str) -> Generator[None]:
        step = Step(title, time.time())
        self._status.steps.append(step)
        self._report()
        yield
        step.seconds = time.time() - step.began
        self._report()

    def _report(self) -> None:
        """Write the status if anything in it changed."""
        now = repr(self._status)
        if now != self._reported:
            self._status.write(self._directory)
            self._reported = now

    def _shorten_logs(self) -> None:
        """Keep one old log per program; the programs append, so truncating is safe."""
        if time.monotonic() < self._look_at_logs_at:
            return
        self._look_at_logs_at = time.monotonic() + _LOOK_AT_LOGS_EVERY_S
        for log in (self._directory / "log").glob("*.log"):
            with contextlib.suppress(OSError):
                if log.stat().st_size > _LARGEST_LOG_BYTES:
                    shutil.copyfile(log, log.with_suffix(".log.1"))
                    os.truncate(log, 0)
