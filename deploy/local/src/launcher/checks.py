"""`make check`: everything that can be said about the code without running it, in parallel."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from launcher.members import Member, members
from launcher.paths import ROOT, VENV_BIN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check said."""

    name: str
    passed: bool
    output: str
    seconds: float


def check() -> bool:
    """Run all checks, at least two at a time, and print each as it ends; whether all passed."""
    everything = _checks()
    failed: list[Outcome] = []
    with ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        waiting = [pool.submit(_timed, name, run) for name, run in everything.items()]
        for future in as_completed(waiting):
            outcome = future.result()
            print(
                f"{'✓' if outcome.passed else '✗'} {outcome.name}  {outcome.seconds:.1f} s",
                flush=True,
            )
            if not outcome.passed:
                failed.append(outcome)
    for outcome in failed:
        print(f"\n── {outcome.name}\n{outcome.output.rstrip()}")
    print(
        f"\n{len(everything) - len(failed)} of {len(everything)} checks passed."
        + ("" if not failed else f" Failed: {', '.join(outcome.name for outcome in failed)}.")
    )
    return not failed


Check = Callable[[], tuple[bool, str]]


def _checks() -> dict[str, Check]:
    """Name → check, the longest first."""
    return {
        "types": lambda: _run([_tool("pyright"), "--warnings"]),
        "contracts": lambda: _run([_tool("python"), "-m", "launcher", "contracts", "--check"]),
        "imports": lambda: _run([_tool("lint-imports"), "--no-logo"]),
        "lock": _lock_is_fresh,
        "dependencies": _dependencies,
        "lint": lambda: _run([_tool("ruff"), "check", "."]),
        "format": lambda: _run([_tool("ruff"), "format", "--check", "."]),
        "spelling": lambda: _run([_tool("codespell")]),
    }


def _timed(name: str, run: Check) -> Outcome:
    start = time.monotonic()
    passed, output = run()
    return Outcome(name, passed, output, time.monotonic() - start)


def _run(command: list[str], *, cwd: Path = ROOT, **extra: str) -> tuple[bool, str]:
    path = f"{VENV_BIN}:{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        env={**os.environ, "PATH": path, **extra},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.returncode == 0, done.stdout


def _tool(name: str) -> str:
    return str(VENV_BIN / name)


def _dependencies() -> tuple[bool, str]:
    """Each member names every library that it imports itself, and none that it does not."""
    everyone = members()
    names = ",".join(f"{member.distribution}={member.module}" for member in everyone)
    outcomes = [_deptry(member, names) for member in everyone]
    return all(passed for passed, _ in outcomes), "".join(
        output for passed, output in outcomes if not passed
    )


def _deptry(member: Member, names: str) -> tuple[bool, str]:
    command = [
        *(_tool("deptry"), "src", "--no-ansi", "--known-first-party", member.module),
        *("--package-module-name-map", names),
    ]
    passed, output = _run(command, cwd=member.folder)
    return passed, f"{member.distribution}:\n{output}"


def _lock_is_fresh() -> tuple[bool, str]:
    """Resolving again, from what the lock says now, changes nothing."""
    committed = (ROOT / "requirements.lock").read_text()
    with tempfile.TemporaryDirectory() as directory:
        again = Path(directory) / "requirements.lock"
        again.write_text(committed)
        passed, output = _run(["bash", "deploy/local/lock.sh"], LOCK_OUT=str(again))
        if passed and again.read_text() == committed:
            return True, ""
        return False, output or "requirements.lock is not what the members ask for: `make lock`."
