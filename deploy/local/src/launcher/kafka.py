"""Apache Kafka, one KRaft node: fetches and checks the jars, writes the configuration."""

import base64
import secrets
import shutil
import socket
import struct
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from launcher.paths import KAFKA_JARS, KAFKA_SOURCES
from launcher.processes import Program

_API_VERSIONS = struct.pack(">hhih", 18, 0, 1, -1)
_SHORTEST_ANSWER = 10  # size, correlation id, error code


class TamperedJarsError(Exception):
    """The jars at hand are not those whose checksums are committed."""


@dataclass(frozen=True, slots=True)
class Kafka:
    """One broker that is its own controller."""

    directory: Path
    port: int
    controller_port: int

    @property
    def bootstrap(self) -> str:
        """The broker's address."""
        return f"127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration and format the log directory when it is new."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.properties"
        config.write_text(self.configuration())
        if (self.directory / "data" / "meta.properties").exists():
            return
        # The first byte keeps the text from starting with a dash, which would read as an option.
        cluster = base64.urlsafe_b64encode(b"H" + secrets.token_bytes(15)).decode().rstrip("=")
        command = [
            *_java("128m"),
            *("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster),
            *("-c", str(config)),
        ]
        subprocess.run(command, check=True, capture_output=True)

    def configuration(self) -> str:
        """Return the text of server.properties."""
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "log.dirs": str(self.directory / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "2",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "log.retention.hours": "168",
            "log.retention.bytes": str(512 * 1024 * 1024),
            "log.segment.bytes": str(128 * 1024 * 1024),
            "log.index.size.max.bytes": str(1024 * 1024),
            "num.network.threads": "2",
            "num.io.threads": "4",
            # A broker that was killed is let in again when its old session ends; 9 s by default.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())

    def program(self) -> Program:
        """Describe the broker process."""
        return Program(
            name="kafka",
            command=[*_java("512m"), "kafka.Kafka", str(self.directory / "server.properties")],
            is_ready=self.is_ready,
            cwd=self.directory,
        )

    def is_ready(self) -> bool:
        """Whether the broker answers a request; its port is open long before that."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as connection:
                connection.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
                return len(connection.recv(16)) >= _SHORTEST_ANSWER
        except OSError:
            return False


def fetch_jars() -> None:
    """Bring the broker's jars, unless the right ones are there, and check every one."""
    wanted = committed_checksums()
    if checksums(KAFKA_JARS) == wanted:
        return
    shutil.rmtree(KAFKA_JARS, ignore_errors=True)
    KAFKA_JARS.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *("mvn", "-q", "-B", "-f", str(KAFKA_SOURCES / "pom.xml")),
        "dependency:copy-dependencies",
        *(f"-DoutputDirectory={KAFKA_JARS}", "-DincludeScope=runtime"),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    verify(checksums(KAFKA_JARS), wanted)


def verify(found: dict[str, str], wanted: dict[str, str]) -> None:
    """Refuse jars that are missing, unknown or different."""
    wrong = sorted(
        name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)
    )
    if wrong:
        shutil.rmtree(KAFKA_JARS, ignore_errors=True)
        raise TamperedJarsError(
            f"These jars do not match deploy/local/kafka/jars.sha256: {', '.join(wrong)}."
        )


def committed_checksums() -> dict[str, str]:
    """Return file name → sha256 as committed."""
    lines = (KAFKA_SOURCES / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def checksums(directory: Path) -> dict[str, str]:
    """Return file name → sha256 of what is in a directory."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in directory.glob("*.jar")}


def _java(heap: str) -> list[str]:
    return [
        *("java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        f"-Dlog4j2.configurationFile={KAFKA_SOURCES / 'log4j2.properties'}",
        *("-cp", f"{KAFKA_JARS}/*"),
    ]
