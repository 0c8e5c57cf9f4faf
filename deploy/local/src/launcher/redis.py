"""Redis: describes the server."""

import socket
from dataclasses import dataclass
from pathlib import Path

from launcher.processes import Program


@dataclass(frozen=True, slots=True)
class Redis:
    """One server on loopback; `durable=False` writes nothing to disk."""

    directory: Path
    port: int
    durable: bool = True
    databases: int = 16

    @property
    def url(self) -> str:
        """The server's address, without a database."""
        return f"redis://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Make the data directory."""
        self.directory.mkdir(parents=True, exist_ok=True)

    def program(self) -> Program:
        """Describe the server process."""
        kept = ["--appendonly", "yes"] if self.durable else ["--appendonly", "no"]
        return Program(
            name="redis",
            command=[
                *("redis-server", "--bind", "127.0.0.1", "--port", str(self.port)),
                *("--dir", str(self.directory), "--databases", str(self.databases)),
                *("--save", "", "--daemonize", "no"),
                *kept,
            ],
            is_ready=self.is_ready,
        )

    def is_ready(self) -> bool:
        """Whether the server answers, and has loaded its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
