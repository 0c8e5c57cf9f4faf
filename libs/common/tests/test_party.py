"""A party answers over a real socket whatever a test tells it to."""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from common.party import Answer, NoAnswer, Party, Patience

NOW = datetime(2026, 11, 21, tzinfo=UTC)
_PATIENCE = Patience(timeout_s=1, tries=2, answer_bytes=10_000)


@asynccontextmanager
async def a_party(*answers: bytes) -> AsyncGenerator[Callable[[], Party]]:
    """Give parties behind a socket that sends one answer after another, the last for ever."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield lambda: Party("far", f"http://127.0.0.1:{port}", lambda: NOW, patience=_PATIENCE)


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


async def fetched(party: Party) -> Answer:
    return await party.attempt(lambda asked: asked.get("/figures", day="1"))


async def test_an_answer_is_read_exactly() -> None:
    said = http(b'{"a": {"b": 0.10000000000000000001}}', "X-Simulated: true")
    async with a_party(said) as party:
        answer = await fetched(party())
    assert (answer.party, answer.asked_at, answer.simulated) == ("far", NOW, True)
    assert str(answer.member("a", "b")) == "0.10000000000000000001"
    with pytest.raises(NoAnswer, match=r"no a\.c"):
        answer.member("a", "c")


async def test_what_fails_once_is_asked_again() -> None:
    for fault in (http(b"", status="503 Busy"), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut"):
        async with a_party(fault, http(b"[1]")) as party:
            assert (await fetched(party())).json() == [1]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (http(b"", status="500 No"), "status 500"),
        (http(b"", status="404 No"), "status 404"),
        (http(b"", "Location: /elsewhere", status="302 Found"), "status 302"),
        (http(b"x" * 10_001), "more than 10000 bytes"),
        (http(gzip.compress(b"x" * 10**6), "Content-Encoding: gzip"), "more than 10000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", "far: "),
        (b"no HTTP at all", "far: "),
    ],
)
async def test_what_is_no_answer_says_why(said: bytes, why: str) -> None:
    async with a_party(said) as party:
        with pytest.raises(NoAnswer, match=why):
            await fetched(party())


@pytest.mark.parametrize("body", [b"<html>", b'{"a": NaN}', b'{"a": 1', b"\xff", b"[" * 9000])
async def test_a_body_that_is_no_json_is_no_answer(body: bytes) -> None:
    async with a_party(http(body)) as party:
        answer = await fetched(party())
    with pytest.raises(NoAnswer, match="no JSON"):
        answer.json()


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("30", timedelta(seconds=30)),
        ("0", timedelta(seconds=1)),
        ("9" * 5000, timedelta(days=1)),
        ("Sat, 21 Nov 2026 20:00:00 GMT", timedelta(minutes=1)),
        ("\u00b2", timedelta(minutes=1)),
    ],
)
async def test_a_party_that_names_a_pause_is_left_alone(retry_after: str, pause: timedelta) -> None:
    busy = http(b"", f"Retry-After: {retry_after}", status="429 Slow down")
    async with a_party(busy, http(b"[1]")) as party:
        far = party()
        with pytest.raises(NoAnswer) as refusal:
            await fetched(far)
        assert refusal.value.pause == pause
        with pytest.raises(NoAnswer, match="left alone"):
            await fetched(far)


async def test_a_party_without_an_address_is_not_asked() -> None:
    with pytest.raises(NoAnswer, match="switched off"):
        await fetched(Party("far", "", lambda: NOW))
