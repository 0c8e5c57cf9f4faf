"""The wire: every way a conversation can end has its outcome, and nothing is raised."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from telemetry.devices.device import Deadlines
from telemetry.devices.wire import MAX_ANSWER_BYTES, ask
from telemetry.domain.reading import Outcome

HOST = "127.0.0.1"
WHOLE = b'{"STATUS":[{"STATUS":"S"}],"id":1}'


async def test_a_refused_port_is_refused_without_values(deadlines: Deadlines) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        answer = await ask(HOST, taken.getsockname()[1], b"{}", deadlines)
    assert (answer.outcome, answer.body, answer.sent) == (Outcome.REFUSED, None, False)


async def test_a_swallowed_connection_attempt_is_a_connect_timeout(deadlines: Deadlines) -> None:
    with socket.socket() as listener:  # a full backlog swallows attempts, as a firewall does
        listener.bind((HOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        answer = await ask(HOST, port, b"{}", deadlines)
        for filler in fillers:
            filler.close()
    assert (answer.outcome, answer.sent) == (Outcome.CONNECT_TIMEOUT, False)


async def test_silence_is_a_read_timeout(
    scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(b"", stay_open=True)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.sent) == (Outcome.READ_TIMEOUT, True)


async def test_a_trickle_does_not_push_the_deadline_on(
    scripted_miner: Any, deadlines: Deadlines
) -> None:
    async def trickle(_request: bytes, writer: asyncio.StreamWriter) -> None:
        for _ in range(100):
            writer.write(b"{")
            await asyncio.sleep(0.05)

    async with scripted_miner(trickle) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.body) == (Outcome.READ_TIMEOUT, None)


async def test_the_answer_ends_at_the_nul_although_the_socket_stays_open(
    scripted_miner: Any, says: Any
) -> None:
    patient = Deadlines(connect_s=30, first_byte_s=30, whole_s=30)
    async with scripted_miner(says(WHOLE + b"\0", stay_open=True)) as miner:
        async with asyncio.timeout(10):
            answer = await ask(HOST, miner.port, b"{}", patient)
    assert (answer.outcome, answer.body) == (Outcome.OK, WHOLE)


async def test_the_answer_ends_at_the_end_of_the_stream_without_a_nul(
    scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(WHOLE)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.body) == (Outcome.OK, WHOLE)


@pytest.mark.parametrize("nothing", [b"", b"\0"])
async def test_an_empty_answer_is_truncated(
    nothing: bytes, scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(nothing)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert answer.outcome in {Outcome.TRUNCATED, Outcome.OK}
    assert not answer.body


async def test_a_reset_in_mid_answer_is_a_reset(
    scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(b'{"STATUS":[{"ST', reset=True)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.body) == (Outcome.RESET, None)


async def test_a_reset_after_the_whole_answer_loses_nothing(
    scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(WHOLE, reset=True)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.body) == (Outcome.OK, WHOLE)


async def test_an_endless_stream_is_cut_off(scripted_miner: Any, deadlines: Deadlines) -> None:
    written = 0

    async def flood(_request: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while True:
            writer.write(b"x" * 65_536)
            written += 65_536
            await writer.drain()

    async with scripted_miner(flood) as miner:
        answer = await ask(HOST, miner.port, b"{}", Deadlines(10, 10, 10))
    assert (answer.outcome, answer.body) == (Outcome.TOO_LARGE, None)
    assert written < 26_000_000 + MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b'{"user":"a\0b"}\0', b'{"user":"a\0b"}\0'),  # the first NUL stands in a text
        (b'{"user":"a\\"\0"}', b'{"user":"a\\"\0"}'),
        (b'{"a":1}\0{"a":2}\0', b'{"a":1}'),
        (b'{"a":"cut here\0', b'{"a":"cut here\0'),
    ],
)
async def test_a_nul_inside_a_text_does_not_end_the_answer(
    sent: bytes, body: bytes, scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    async with scripted_miner(says(sent)) as miner:
        answer = await ask(HOST, miner.port, b"{}", deadlines)
    assert (answer.outcome, answer.body) == (Outcome.OK, body)


async def test_after_a_nul_in_a_text_the_rest_has_to_come_soon(
    scripted_miner: Any, says: Any
) -> None:
    patient = Deadlines(connect_s=30, first_byte_s=30, whole_s=30)
    async with scripted_miner(says(b'{"a":"cut\0', stay_open=True)) as miner:
        async with asyncio.timeout(10):
            answer = await ask(HOST, miner.port, b"{}", patient)
    assert answer.body == b'{"a":"cut\0'


async def test_the_request_goes_out_in_one_piece(
    scripted_miner: Any, says: Any, deadlines: Deadlines
) -> None:
    request = b'{"command":"summary+stats+pools"}'
    async with scripted_miner(says(WHOLE + b"\0")) as miner:
        await ask(HOST, miner.port, request, deadlines)
    assert miner.requests == [request]


@pytest.mark.parametrize("name", ["localhost", "miner.example", "", "127.0.0.1\0", "1.2.3", "é"])
async def test_a_name_is_never_resolved(name: str, deadlines: Deadlines) -> None:
    answer = await ask(name, 4028, b"{}", deadlines)
    assert (answer.outcome, answer.sent) == (Outcome.INCONCLUSIVE, False)


@pytest.mark.parametrize("port", [-1, 70_000])
async def test_an_impossible_port_is_no_exception(port: int, deadlines: Deadlines) -> None:
    assert (await ask(HOST, port, b"{}", deadlines)).outcome is Outcome.INCONCLUSIVE


async def test_a_deadline_noticed_late_is_our_own_fault(scripted_miner: Any, says: Any) -> None:
    jumpy = Deadlines(connect_s=0.01, first_byte_s=0.02, whole_s=0.03, own_lag_s=-1)
    async with scripted_miner(says(b"", stay_open=True)) as miner:
        answer = await ask(HOST, miner.port, b"{}", jumpy)
    assert answer.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize("when_s", [0.0, 0.1])
async def test_cancelling_the_caller_is_passed_on(
    when_s: float, scripted_miner: Any, says: Callable[..., Any]
) -> None:
    async with scripted_miner(says(b"", stay_open=True)) as miner:
        task = asyncio.create_task(ask(HOST, miner.port, b"{}"))
        await asyncio.sleep(when_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
