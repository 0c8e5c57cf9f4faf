"""A miner whose words a test chooses, on a real socket."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import orjson
import pytest

from telemetry.devices.device import Deadlines, Device, Limits

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
ScriptedMiner = Callable[..., AbstractAsyncContextManager["Script"]]


class Script:
    """The requests a scripted miner was asked, and where it listens."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.open_connections = 0
        self.most_connections = 0
        self.port = 0

    @property
    def commands(self) -> list[str]:
        return [str(orjson.loads(request).get("command")) for request in self.requests]

    def device(self, firmware: str | None = None) -> Device:
        return Device("127.0.0.1", self.port, firmware)


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines(connect_s=0.3, first_byte_s=0.4, whole_s=0.8)


@pytest.fixture
def limits(deadlines: Deadlines) -> Limits:
    """Patience for tests: no wait before a retry."""
    return Limits(deadlines=deadlines, retry_after_s=(0, 0))


@pytest.fixture
def scripted_miner() -> ScriptedMiner:
    """Serve a talk: a function that gets the request and writes what it likes."""

    @asynccontextmanager
    async def serve(talk: Talk) -> AsyncGenerator[Script]:
        script = Script()
        talks: set[asyncio.Task[None]] = set()
        writers: list[asyncio.StreamWriter] = []

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            script.open_connections += 1
            script.most_connections = max(script.most_connections, script.open_connections)
            with contextlib.suppress(ConnectionError):
                request = await reader.read(8191)
                script.requests.append(request)
                await talk(request, writer)
            script.open_connections -= 1
            writer.close()

        def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            talks.add(asyncio.create_task(converse(reader, writer)))

        server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        script.port = server.sockets[0].getsockname()[1]
        try:
            yield script
        finally:
            await asyncio.sleep(0.01)  # what was accepted a moment ago becomes a talk first
            server.close()
            for one in talks:
                one.cancel()
            await asyncio.gather(*talks, return_exceptions=True)
            for writer in writers:
                writer.transport.abort()
            await asyncio.sleep(0.01)  # transports close in the next turn of the loop

    return serve


@pytest.fixture
def says() -> Callable[..., Talk]:
    """Make talks: one answer for all, or answers in turn, each ended as asked."""

    def talk_of(*answers: bytes, stay_open: bool = False, reset: bool = False) -> Talk:
        turn = iter(answers)
        last = answers[-1] if answers else b""

        async def talk(_request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(next(turn, last))
            await writer.drain()
            if stay_open:
                await asyncio.sleep(30)
            if reset:
                await asyncio.sleep(0.05)
                connection = writer.get_extra_info("socket")
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()

        return talk

    return talk_of


@pytest.fixture
def answers_by_command() -> Callable[[dict[str, bytes]], Talk]:
    """Make a talk that looks the answer up by the command; unknown ones are code 14."""
    unknown = b'{"STATUS":[{"STATUS":"E","Code":14,"Msg":"Invalid command"}],"id":1}\0'

    def talk_of(answers: dict[str, bytes]) -> Talk:
        async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
            command = orjson.loads(request).get("command")
            writer.write(answers.get(command, unknown))

        return talk

    return talk_of
