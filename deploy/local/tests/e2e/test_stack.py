"""The whole life of an installation: started, broken, mended, stopped, started again."""

import contextlib
import os
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from launcher.api import Api
from launcher.processes import started_at, wait_until
from launcher.stack import Stack

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    """A small installation of its own."""
    made = Stack(tmp_path_factory.mktemp("stack"), fleet=12, slot_seconds=2, free_ports=True)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def _processes_of(run_dir: Path) -> list[str]:
    """Return the command lines that name a directory; other tests' own excepted."""
    found: list[str] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(run_dir) in line:
                found.append(line)
    return found


def test_everybody_in_the_demo_file_can_log_in(stack: Stack) -> None:
    assert (stack.run_dir / "demo.json").stat().st_mode & 0o777 == 0o600
    for login in stack.demo["users"].values():
        with Api(stack.demo["gateway_url"], login["email"], login["password"]) as api:
            assert api.get("/api/me")["email"] == login["email"]


def test_the_fleet_is_registered(stack: Stack) -> None:
    owner = stack.demo["users"]["owner"]
    with Api(stack.demo["gateway_url"], owner["email"], owner["password"]) as api:
        listed = api.get("/api/hosting/miners", site_id=stack.demo["site_id"])
    assert listed["total"] == 12


def test_a_second_start_changes_nothing(stack: Stack) -> None:
    before = stack.supervisor_pid
    Stack(stack.run_dir, fleet=12, slot_seconds=2).start()
    assert stack.supervisor_pid == before


def test_a_killed_service_comes_back(stack: Stack) -> None:
    old = stack.pid("calculator")
    stack.kill("calculator", signal.SIGKILL)
    stack.wait_ready("calculator")
    assert stack.pid("calculator") != old
    assert stack.status().programs["calculator"].restarts == 1
    answer = httpx.get(f"{stack.ops_urls['calculator']}/health/ready", trust_env=False)
    assert answer.status_code == 200


def test_a_restart_is_not_a_crash(stack: Stack) -> None:
    stack.restart("redis")
    assert stack.status().programs["redis"].restarts == 0


def test_what_a_killed_supervisor_left_is_cleared_away(stack: Stack) -> None:
    old = stack.pid("hosting")
    pid = stack.supervisor_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not stack.is_up, 10)
    stack.start()
    assert stack.pid("hosting") != old
    assert started_at(old) is None


def test_a_stack_ends_with_the_process_it_belongs_to(stack: Stack) -> None:
    (stack.run_dir / "owner.pid").write_text("1 1\n")
    assert wait_until(lambda: not _processes_of(stack.run_dir), 60)
    stack.start()


def test_down_leaves_nothing_and_up_goes_on(stack: Stack) -> None:
    demo, ports = stack.demo, stack.installation.ports
    stack.stop()
    assert _processes_of(stack.run_dir) == []
    for port in ports.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    stack.start()
    assert stack.demo == demo
