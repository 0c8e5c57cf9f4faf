"""The programs of an installation besides its infrastructure: services and the simulated fleet."""

import http.client
import socket
import sys

from launcher.installation import SERVICES, Installation
from launcher.processes import Program

FLEET = "simulation"
PARTIES = {"market": "upstreams", "elexon": "elexon", "grid": "grid"}
"""Simulated outside parties: the program's name, and the command of `simulation` that it is."""
MINER_PORT = 4028
_AN_EXCHANGE = ("www.okx.com", 443)


def service_program(installation: Installation, service: str) -> Program:
    """Describe one service: API, consumers and background work in one process."""
    port = installation.ports[f"{service}-ops"]
    return Program(
        name=service,
        command=[sys.executable, "-m", service, "serve", "--role", "all"],
        environment=installation.environment_of(service),
        is_ready=lambda: answers_ready(port),
        stop_within_s=25.0,
    )


def service_programs(installation: Installation) -> list[Program]:
    """Describe all services."""
    return [service_program(installation, service) for service in SERVICES]


def fleet_program(installation: Installation) -> Program:
    """Describe the simulated miners: one process that listens on one address for each."""
    control = installation.ports[FLEET]
    command = [*fleet_command(installation, "serve"), "--control-port", str(control)]
    return Program(
        name=FLEET,
        command=[*command, *installation.fleet_options],
        is_ready=lambda: (
            _listens("127.0.0.1", control) and _listens(installation.first_miner, MINER_PORT)
        ),
        environment={"PYTHONUNBUFFERED": "1"},
        stop_within_s=10.0,
    )


def party_programs(installation: Installation) -> list[Program]:
    """Describe the simulated outside parties: exchanges, the balancing mechanism, the grid."""
    return [_party_program(name, installation.ports[name]) for name in PARTIES]


def _party_program(name: str, port: int) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", "simulation", PARTIES[name], "--port", str(port)],
        is_ready=lambda: _listens("127.0.0.1", port),
        environment={"PYTHONUNBUFFERED": "1"},
        stop_within_s=10.0,
    )


def exchange_is_reachable() -> bool:
    """Whether a real exchange can be reached from here, within two seconds."""
    try:
        with socket.create_connection(_AN_EXCHANGE, timeout=2.0):
            return True
    except OSError:
        return False


def fleet_command(installation: Installation, what: str) -> list[str]:
    """Return a command of the simulated world about this installation's fleet."""
    return [
        *(sys.executable, "-m", "simulation", what, "--miners", str(installation.fleet)),
        *("--start", installation.first_miner, "--port", str(MINER_PORT)),
    ]


def answers_ready(ops_port: int) -> bool:
    """Whether a service says that it can serve."""
    return readiness(ops_port)[0]


def readiness(ops_port: int) -> tuple[bool, str]:
    """Ask a service whether it can serve; return its words beside the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", ops_port, timeout=2.0)
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        return answer.status == http.client.OK, answer.read(500).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return False, str(error)
    finally:
        connection.close()


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1.0):
            return True
    except OSError:
        return False
