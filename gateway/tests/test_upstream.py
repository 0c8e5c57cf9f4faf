"""The client to the services by itself, on the loop that it runs on."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
import uvloop

from gateway.front.upstream import HttpUpstream

Loop = Callable[[], asyncio.AbstractEventLoop]


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer `GET /n` with n bytes."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.split(b" ")[1][1:])
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def _received(upstream: HttpUpstream, size: int) -> int:
    reply = await upstream.send("GET", b"/%d" % size, [], None)
    if reply.body is not None:
        received = len(reply.body)
    else:
        received = sum([len(chunk) async for chunk in reply.chunks()])
    reply.close()
    return received


async def _large_then_small(size: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = HttpUpstream(f"http://127.0.0.1:{port}")
    async with asyncio.timeout(30):
        for _ in range(20):
            assert await _received(upstream, size) == size
            assert await _received(upstream, 10) == 10
    upstream.close()
    server.close()
    await server.wait_closed()
    while len(asyncio.all_tasks()) > 1:  # the server's side of the connection notices
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"]
)
@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 300_000, 1_000_000])
async def test_a_kept_connection_is_read_on_after_a_large_answer(size: int, new_loop: Loop) -> None:
    def run() -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(_large_then_small(size))

    await asyncio.to_thread(run)
