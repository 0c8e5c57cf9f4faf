"""Make a bare Debian machine able to run Hashyard: system packages, .venv, Kafka's jars.

Runs before anything is installed, so it uses the standard library only. Every step is skipped
when its result is there; the whole is skipped when nothing changed since the last run.
"""

import contextlib
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOG = ROOT / ".local" / "log" / "bootstrap.log"
VENV = ROOT / ".venv"
STAMP = VENV / "hashyard-stamp"
UV = "uv==0.13.8"
LEAST_POSTGRES, LEAST_JAVA = 15, 17
MEMBER_GLOBS = ("libs/*", "gateway", "services/*", "deploy/local")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
POLICY = Path("/usr/sbin/policy-rc.d")


class StepFailedError(Exception):
    """A step ended with an error; the message shows the end of its output."""


def main() -> int:
    """Bring everything up to date; print only what is done."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        print(f"Python 3.11 to 3.13 is needed; {sys.executable} is {sys.version.split()[0]}.")
        return 1
    try:
        install()
    except StepFailedError as failure:
        print(f"\n{failure}\nThe whole output is in {LOG}.", file=sys.stderr)
        return 1
    return 0


def install() -> None:
    """Do what is missing."""
    packages = missing_packages()
    if packages:
        apt_install(packages)
    if STAMP.exists() and STAMP.read_text() == fingerprint():
        return
    STAMP.unlink(missing_ok=True)
    if not (VENV / "bin" / "python").exists():
        run("Python environment", [sys.executable, "-m", "venv", "--clear", str(VENV)])
    python, uv = str(VENV / "bin" / "python"), str(VENV / "bin" / "uv")
    run("uv", [python, "-m", "pip", "install", "--quiet", UV])
    lock = ["--require-hashes", "--compile-bytecode", "requirements.lock"]
    run("Libraries of the lock, with bytecode", [uv, "pip", "sync", *lock])
    editables = [word for member in members() for word in ("-e", str(member))]
    run("Members of the workspace", [uv, "pip", "install", "--no-deps", *editables])
    run("Kafka's jars", [python, "-m", "launcher", "fetch"])
    STAMP.write_text(fingerprint())


def members() -> list[Path]:
    """Return the folders of the workspace's members."""
    return [
        path
        for pattern in MEMBER_GLOBS
        for path in sorted(ROOT.glob(pattern))
        if (path / "pyproject.toml").exists()
    ]


def fingerprint() -> str:
    """Return a digest of everything that decides what the environment holds.

    Of a member's pyproject only what an editable install reads counts, so that a new dependency
    (which the lock shows) or a changed tool setting alone does not reinstall anything.
    """
    # Not the whole version: installing a package may have brought a patch release of Python.
    digest = hashlib.sha256(f"{ROOT} {sys.version_info[:2]} {UV}".encode())
    digest.update((ROOT / "requirements.lock").read_bytes())
    for member in members():
        project = tomllib.loads((member / "pyproject.toml").read_text())
        digest.update(repr((str(member), project["project"], project["build-system"])).encode())
    digest.update((ROOT / "deploy" / "local" / "kafka" / "jars.sha256").read_bytes())
    return digest.hexdigest()


def missing_packages() -> list[str]:
    """Return the Debian packages that provide what this machine lacks."""
    missing: list[str] = []
    if not CERTIFICATES.exists():
        missing.append("ca-certificates")
    if not _has_postgres():
        missing.append("postgresql")
    if shutil.which("redis-server") is None:
        missing.append("redis-server")
    if not _is_recent("java", LEAST_JAVA):
        missing.append("default-jre-headless")
    if not _has_jars() and shutil.which("mvn") is None:
        missing.append("maven")
    if importlib.util.find_spec("ensurepip") is None:
        missing.append("python3-venv")
    return missing


def apt_install(packages: Sequence[str]) -> None:
    """Install packages without starting the services that they bring."""
    if shutil.which("apt-get") is None:
        raise StepFailedError(f"Please install these by hand (no apt-get here): {packages}")
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise StepFailedError(f"Neither root nor sudo: cannot install {', '.join(packages)}.")
        # Asks for the password now, while no step is writing over the prompt.
        if subprocess.run(["sudo", "-v"], check=False).returncode != 0:
            raise StepFailedError("sudo is needed to install packages.")
    with _services_held():
        run("List of Debian packages", _as_root("apt-get", "update", "-q"))
        command = ("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages)
        run(f"Debian packages: {', '.join(packages)}", _as_root(*command))


@contextmanager
def _services_held() -> Generator[None]:
    """Tell Debian's packages not to start their own servers: we run ours beside them."""
    if POLICY.exists():
        yield
        return
    script = f"printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}"
    run("", _as_root("sh", "-c", script))
    try:
        yield
    finally:
        run("", _as_root("rm", "-f", str(POLICY)))


def _as_root(*command: str) -> list[str]:
    settings = ["DEBIAN_FRONTEND=noninteractive"]
    if os.geteuid() == 0:
        return ["env", *settings, *command]
    proxies = [f"{name}={value}" for name, value in os.environ.items() if name.endswith("_proxy")]
    return ["sudo", "env", *settings, *proxies, *command]


def run(title: str, command: Sequence[str]) -> None:
    """Run one step, its output into the log, its title and time on the screen."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("ab") as log:
        log.write(f"\n$ {' '.join(command)}\n".encode())
        log.flush()
        begin = log.tell()
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=environment
        )
        for moment in _ticks(process):
            _show(title, moment)
    if process.returncode != 0:
        output = LOG.read_bytes()[begin:].decode(errors="replace").splitlines()[-25:]
        raise StepFailedError("\n".join([f"✗ {title or command[-1]} failed:", *output]))


def _ticks(process: subprocess.Popen[bytes]) -> Iterator[tuple[float, bool]]:
    """Yield the seconds so far, about five times a second, and once more at the end."""
    start = time.monotonic()
    yield 0.0, False
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        yield time.monotonic() - start, False
    yield time.monotonic() - start, True


def _show(title: str, moment: tuple[float, bool]) -> None:
    seconds, is_over = moment
    if not title:
        return
    if sys.stdout.isatty():
        mark, end = ("✓", "\n") if is_over else ("…", "\r")
        print(f"{mark} {title}  {seconds:.0f} s\x1b[K", end=end, flush=True)
    elif is_over:
        print(f"✓ {title}  {seconds:.0f} s", flush=True)
    elif seconds == 0:
        print(f"… {title}", flush=True)


def _has_postgres() -> bool:
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return any(int(path.parts[4]) >= LEAST_POSTGRES for path in found if path.parts[4].isdigit())


def _has_jars() -> bool:
    wanted = (ROOT / "deploy" / "local" / "kafka" / "jars.sha256").read_text().split()[1::2]
    return all((ROOT / ".local" / "kafka" / "libs" / name).exists() for name in wanted)


def _is_recent(program: str, least: int) -> bool:
    """Whether a program is there whose version starts with at least this number."""
    if shutil.which(program) is None:
        return False
    words = ["-version"] if program == "java" else ["--version"]
    answer = subprocess.run([program, *words], check=False, capture_output=True, text=True)
    version = re.search(r"(\d+)\.", answer.stdout + answer.stderr)
    return version is not None and int(version[1]) >= least


if __name__ == "__main__":
    sys.exit(main())
