"""PostgreSQL: finds the binaries, makes the data directory, describes the server."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from launcher.processes import Program

_LEAST_VERSION = 15
_SYSTEM_USER = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """One server with its own data directory; `durable=False` trades safety for speed in tests."""

    directory: Path
    port: int
    durable: bool = True
    max_connections: int = 200
    password: str | None = None
    """The superuser's; without one every local program is trusted, which suits tests."""

    @property
    def dsn(self) -> str:
        """The superuser's address, loopback only."""
        return self.dsn_of("postgres", self.password, "postgres")

    def dsn_of(self, role: str, password: str | None, database: str) -> str:
        """Return the address under which a role reaches a database."""
        secret = f":{password}" if password else ""
        return f"postgresql://{role}{secret}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the data directory when there is none."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        self._place()
        data = self.directory.resolve()
        if (data / "PG_VERSION").exists():
            return
        with _readable(self.password) as secret:
            how = ["-A", "scram-sha-256", f"--pwfile={secret}"] if secret else ["-A", "trust"]
            command = [
                *(*_unprivileged(), str(binaries() / "initdb"), "-D", str(data)),
                *("-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", *how),
            ]
            done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    def program(self) -> Program:
        """Describe the server process."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": str(self.max_connections),
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        data = str(self.directory.resolve())
        return Program(
            name="postgres",
            command=[
                *_unprivileged(),
                *(str(binaries() / "postgres"), "-D", data, "-p", str(self.port)),
                *options,
            ],
            is_ready=self.is_ready,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions; TERM would wait for them
            cwd=Path("/"),
        )

    def is_ready(self) -> bool:
        """Whether the server takes connections."""
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", "postgres"]
        command = [str(binaries() / "pg_isready"), "-q", *address]
        return subprocess.run(command, check=False, cwd="/").returncode == 0

    def _place(self) -> None:
        """Give the data directory to the server's user, elsewhere if he cannot get there.

        A clone below /root is closed to every other user; the data then lives in /var/lib and a
        link stands in its place.
        """
        if os.geteuid() != 0:
            return
        if self.directory.is_symlink() or not _reachable(self.directory.parent):
            name = sha256(str(self.directory).encode()).hexdigest()[:12]
            real = Path("/var/lib/hashyard") / name
            if not self.directory.is_symlink():
                # What an installation left there that was deleted with its directory.
                shutil.rmtree(real, ignore_errors=True)
                self.directory.symlink_to(real)
            real.mkdir(parents=True, exist_ok=True)
        self.directory.mkdir(mode=0o700, exist_ok=True)
        user = pwd.getpwnam(_SYSTEM_USER)
        os.chown(self.directory.resolve(), user.pw_uid, user.pw_gid)


def remove_data(directory: Path) -> None:
    """Delete a data directory, also where a link stands in its place."""
    if directory.is_symlink():
        shutil.rmtree(directory.resolve(), ignore_errors=True)
        directory.unlink()
    else:
        shutil.rmtree(directory, ignore_errors=True)


def binaries() -> Path:
    """Return the folder of the newest server binaries that are new enough."""
    versions = [
        path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()
    ]
    usable = [
        path
        for path in sorted(versions, key=lambda path: int(path.parent.name))
        if int(path.parent.name) >= _LEAST_VERSION and (path / "initdb").exists()
    ]
    if usable:
        return usable[-1]
    on_path = shutil.which("initdb")
    if on_path is None:
        raise FileNotFoundError(
            f"No PostgreSQL {_LEAST_VERSION} or newer is installed; `make up` installs it."
        )
    return Path(on_path).resolve().parent


def _unprivileged() -> list[str]:
    """Return the prefix that drops root's rights: PostgreSQL refuses to run with them."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--clear-groups"]


@contextmanager
def _readable(password: str | None) -> Generator[str | None]:
    """Put a password into a file that only the server's user can read, for as long as needed."""
    if password is None:
        yield None
        return
    with tempfile.NamedTemporaryFile("w", prefix="hashyard-") as file:
        file.write(password)
        file.flush()
        if os.geteuid() == 0:
            user = pwd.getpwnam(_SYSTEM_USER)
            os.chown(file.name, user.pw_uid, user.pw_gid)
        yield file.name


def _reachable(directory: Path) -> bool:
    """Whether the server's user can enter this directory."""
    command = [*_unprivileged(), "test", "-x", str(directory)]
    return subprocess.run(command, check=False, cwd="/").returncode == 0
