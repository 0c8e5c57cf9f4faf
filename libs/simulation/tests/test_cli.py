"""The served fleet, as another process sees it."""

import csv
import io
import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from simulation.cli import app
from simulation.client import ControlClient, ControlRefused

FLEET = ["--miners", "12", "--seed", "3", "--mix", "luxos=0.5,antminer=0.5"]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def control(start_address: str, free_port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "simulation", "serve", *FLEET, "--start", start_address]
    with subprocess.Popen(
        [*command, "--control-port", str(free_port), "--ramp-seconds", "0.5"],
        stdout=subprocess.PIPE,
        text=True,
    ) as served:
        assert served.stdout is not None
        assert served.stdout.readline().startswith(f"ready: 12 simulated miners on {start_address}")
        yield free_port
        served.send_signal(signal.SIGTERM)
        assert served.wait(10) == 0


@pytest.fixture
def upstreams(free_port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "simulation", "upstreams", "--port", str(free_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        assert served.stdout.readline().startswith("ready: simulated coingecko, blockchain")
        yield free_port
        served.send_signal(signal.SIGTERM)
        assert served.wait(10) == 0


@pytest.fixture
def elexon(free_port: int) -> Iterator[int]:
    command = [sys.executable, "-m", "simulation", "elexon", "--port", str(free_port)]
    with subprocess.Popen([*command, "--delay-ms", "5"], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("ready: simulated Elexon on http://127.0.0.1:")
        yield free_port
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.output


def test_serve_and_inventory_agree_and_faults_take_hold(control: int, start_address: str) -> None:
    client, port = ControlClient(control), str(control)
    sheet = run("inventory", *FLEET, "--start", start_address)
    rows = list(csv.DictReader(io.StringIO(sheet)))
    served = client.miners()
    assert [row["serial_number"] for row in rows] == [each["serial_number"] for each in served]
    assert [row["cgminer_ip"] for row in rows] == [each["address"] for each in served]
    assert json.loads(run("inventory", *FLEET, "--format", "json"))[0]["firmware"] == "luxos"

    assert "silent: 3 miners" in run("fault", "silent", "--number", "3", "--control-port", port)
    assert client.status()["faults"] == {"silent": 3}
    assert "drop: 12 miners" in run("fault", "outage", "--duration", "60", "--control-port", port)
    run("fault", "clear", "--control-port", port)
    run("fault", "refuse", "--miner", "4", "--control-port", port)
    assert client.miner(4)["listening"] is False
    assert client.miner(served[5]["address"])["index"] == 5
    client.clear_faults()

    with socket.create_connection((served[0]["address"], 4028)) as asked:
        asked.sendall(b"version")
        assert asked.recv(4096).startswith(b"STATUS=S")
    assert client.status()["connections"] == 1
    client.reset_counters()
    totals = json.loads(run("status", "--json", "--control-port", port))
    assert totals["connections"] == 0
    assert totals["power_w"] == pytest.approx(sum(each["power_w"] for each in served), rel=0.01)
    assert "12 simulated miners" in run("status", "--control-port", port)


def test_bad_orders_are_explained(control: int) -> None:
    client = ControlClient(control)
    for order in ({"kind": "nonsense"}, {"kind": "silent", "family": "toaster"}):
        with pytest.raises(ControlRefused, match="Unknown"):
            client.set_fault(**order)  # pyright: ignore[reportArgumentType]  # wrong on purpose
    with pytest.raises(ControlRefused, match="share"):
        client.set_fault("silent", share=-1)
    with pytest.raises(ControlRefused, match="No miner"):
        client.miner(99)


def test_a_taken_address_is_a_clear_message(control: int, start_address: str) -> None:
    address = ControlClient(control).miner(0)["address"]
    result = CliRunner().invoke(app, ["serve", "--start", address, "--miners", "1"])
    assert result.exit_code == 2
    assert f"{start_address}:4028 is taken" in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["serve", "--start", "127.0.0.1"], "not inside 127.64.0.0/10"),
        (["inventory", "--mix", "luxos"], "not family=share"),
        (["inventory", "--mix", "toaster=1"], "Unknown families"),
        (["status", "--control-port", "1"], "No simulated fleet answers"),
        (["fault", "silent", "--control-port", "1"], "No simulated fleet answers"),
    ],
)
def test_mistakes_are_explained(arguments: list[str], reason: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert reason in result.output


def test_upstreams_serves_providers_and_stops_when_told(upstreams: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{upstreams}/mempool/api/v1/prices") as answer:
        assert answer.headers["X-Simulated"] == "true"
        assert json.loads(answer.read())["USD"] > 50_000


def test_upstreams_says_that_its_port_is_taken(upstreams: int) -> None:
    result = CliRunner().invoke(app, ["upstreams", "--port", str(upstreams)])
    assert result.exit_code == 2
    assert "address already in use" in result.output.lower()


def test_elexon_is_served_and_stops_when_told(elexon: int) -> None:
    path = "bmrs/api/v1/balancing/settlement/stack/all/bid/2025-03-04/48"
    with urllib.request.urlopen(f"http://127.0.0.1:{elexon}/{path}") as answer:
        assert answer.headers["X-Simulated"] == "true"
        assert json.loads(answer.read())["data"]


def test_elexon_says_that_its_port_is_taken(elexon: int) -> None:
    result = CliRunner().invoke(app, ["elexon", "--port", str(elexon)])
    assert result.exit_code == 2
    assert "address already in use" in result.output.lower()
