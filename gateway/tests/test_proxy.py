"""The way to a service and back, over real sockets, on good days and bad."""

import asyncio
import contextlib
import json
from typing import Any

import httpx
import pytest

from gateway.front.breaker import Breaker
from gateway.front.protocol import FrontProtocol
from gateway.problems import Shed
from gateway.roles import SCOPES_OF

RAW = "/api/intelligence/x"


async def test_a_service_sees_the_caller_and_nothing_else(world: Any, operator: Any) -> None:
    forged = {
        "X-User-Id": "1",
        "Internal-Token": "mine",
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Host": "evil",
        "Forwarded": "for=1.2.3.4",
        "X-Real-IP": "1.2.3.4",
        "X-Original-URL": "/admin",
        "X-Request-Id": "mine",
        "traceparent": "00-1-2-01",
        "Connection": "close, Internal-Token",
        "Upgrade": "h2c",
        "Cookie": "other=1",
        "Idempotency-Key": "k1",
        "If-None-Match": '"v1"',
    }
    headers = operator.headers["Client"] | forged
    answer = await world.client.get("/api/hosting/echo?a=%20b&b=c", headers=headers)
    seen = answer.json()
    assert (seen["path"], seen["query"]) == ("/api/hosting/echo", "a=%20b&b=c")
    assert (seen["kind"], seen["role"]) == ("user", "Client")
    assert seen["organisation_id"] == str(operator.id)
    assert seen["client_id"] == str(operator.client_id)
    assert set(seen["scopes"]) == SCOPES_OF["Client"]
    assert set(seen["headers"]) == {
        "host", "accept", "accept-encoding", "idempotency-key", "if-none-match", "internal-token",
    }  # fmt: skip
    assert answer.headers["x-request-id"] == seen["request_id"] != "mine"
    assert "set-cookie" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("size", [0, 2, 70_000, 1_500_000])
async def test_bodies_pass_whole(world: Any, operator: Any, size: int) -> None:
    headers = operator.headers["Host"] | {"Content-Type": "application/json"}
    answer = await world.client.post("/api/hosting/echo", content=b"x" * size, headers=headers)
    assert answer.json()["size"] == size

    async def pieces() -> Any:
        for start in range(0, size, 10_000):
            yield b"x" * min(10_000, size - start)

    answer = await world.client.post("/api/hosting/echo", content=pieces(), headers=headers)
    assert answer.json()["size"] == size


async def test_a_body_over_the_cap_is_refused(world: Any, operator: Any) -> None:
    headers = operator.headers["Host"] | {"Content-Type": "application/json"}
    cap = 2 * 1024 * 1024
    seen = len(world.echo.seen)
    answer = await world.client.post("/api/hosting/echo", content=b"x" * (cap + 1), headers=headers)
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"

    async def pieces() -> Any:
        for _ in range(cap // 65_536 + 1):
            yield b"x" * 65_536

    with contextlib.suppress(httpx.WriteError):  # closed while we were still sending
        answer = await world.client.post("/api/hosting/echo", content=pieces(), headers=headers)
        assert answer.status_code == 413
    assert len(world.echo.seen) == seen


async def test_only_the_import_takes_sheets(world: Any, operator: Any) -> None:
    headers = operator.headers["Host"] | {"Content-Type": "text/csv"}
    import_path = "/api/hosting/miners/import"
    assert (
        await world.client.post(import_path, content=b"a,b", headers=headers)
    ).status_code == 200
    assert (
        await world.client.post("/api/hosting/miners", content=b"a,b", headers=headers)
    ).status_code == 415


async def test_an_alias_is_rewritten(world: Any, operator: Any) -> None:
    headers = operator.headers["Host"]
    for action in ("start", "shutdown", "reboot"):
        answer = await world.client.post(f"/hosting/miner/m1/{action}", headers=headers)
        assert answer.json()["path"] == f"/api/hosting/miners/m1/{action}"
    assert (
        await world.client.post("/hosting/miner/m1/explode", headers=headers)
    ).status_code == 404


async def test_a_large_answer_passes_whole(world: Any, operator: Any) -> None:
    answer = await world.client.get("/api/hosting/big", headers=operator.headers["Host"])
    assert len(answer.content) == 64 * 65_536


async def test_events_pass_as_they_come(world: Any, operator: Any) -> None:
    headers = operator.headers["Host"]
    async with world.client.stream("GET", "/api/telemetry/stream", headers=headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        lines = answer.aiter_lines()
        async with asyncio.timeout(2):
            assert await anext(lines) == "data: 0"


async def test_a_stream_ends_when_the_server_stops(
    world: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections: list[FrontProtocol] = []
    begin = FrontProtocol.on_message_begin

    def noted(self: FrontProtocol) -> None:
        connections.append(self)
        begin(self)

    monkeypatch.setattr(FrontProtocol, "on_message_begin", noted)
    headers = operator.headers["Host"]
    async with (
        httpx.AsyncClient(base_url=world.settings.public_url) as client,
        client.stream("GET", "/api/telemetry/stream", headers=headers) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: 0"
        connections[-1].shutdown()
        async with asyncio.timeout(2):
            rest = [line async for line in lines]  # ends, and ends well
    assert len(rest) < 50


async def test_a_person_holds_a_bounded_number_of_streams(world: Any, operator: Any) -> None:
    headers = operator.headers["Owner"]
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(world.settings.streams_per_user):
            stream = world.client.stream("GET", "/api/telemetry/stream", headers=headers)
            assert (await stack.enter_async_context(stream)).status_code == 200
        answer = await world.client.get("/api/telemetry/stream", headers=headers)
        assert answer.status_code == 429
    for _ in range(100):
        stream = world.client.stream("GET", "/api/telemetry/stream", headers=headers)
        async with stream as again:
            if again.status_code == 200:
                return
        await asyncio.sleep(0.05)
    pytest.fail("the streams were not given back")


async def test_a_client_that_leaves_ends_the_call(world: Any, operator: Any) -> None:
    world.echo.gone.clear()
    bearer = operator.headers["Host"]["Authorization"]
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(
        f"GET /api/hosting/hang HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\n"
        f"Authorization: {bearer}\r\n\r\n".encode()
    )
    await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(3):
        await world.echo.gone.wait()


async def _raw(world: Any, operator: Any, answer: bytes, **options: Any) -> httpx.Response:
    world.raw.answer = answer
    world.raw.hold = options.pop("hold", False)
    world.raw.keep = options.pop("keep", False)
    target = world.front._proxy._targets["intelligence"]
    target.breaker.succeeded()
    return await world.client.request(
        options.pop("method", "GET"), RAW, headers=operator.headers["Host"], **options
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK, 200),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n", 304),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (b"", 502),
        (b"SSH-2.0-x\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", 502),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", 502),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", 502),
    ],
)
async def test_what_a_service_may_answer(
    world: Any, operator: Any, answer: bytes, status: int
) -> None:
    response = await _raw(world, operator, answer)
    assert response.status_code == status
    if status == 502:
        assert response.json()["code"] == "upstream_unreachable"
        assert "retry-after" in response.headers


async def test_bytes_after_an_answer_spoil_the_connection_only(world: Any, operator: Any) -> None:
    assert (await _raw(world, operator, OK + OK, keep=True)).content == b"ok"
    assert (await _raw(world, operator, OK, keep=True)).content == b"ok"


async def test_an_answer_broken_off_breaks_off(world: Any, operator: Any) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    with pytest.raises(httpx.RemoteProtocolError):
        await _raw(world, operator, begun)


async def test_a_service_that_hangs_is_not_waited_for(
    world: Any, operator: Any, short_routes: None
) -> None:
    answer = await _raw(world, operator, b"", hold=True)
    assert answer.status_code == 504
    assert answer.json()["code"] == "upstream_timeout"


async def test_a_trickle_ends(world: Any, operator: Any, short_routes: None) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"
    with pytest.raises(httpx.RemoteProtocolError):
        async with asyncio.timeout(4):
            await _raw(world, operator, begun, hold=True)


@pytest.fixture
def short_routes(world: Any) -> Any:
    """Give the route to the raw service little time."""
    route = next(one for one in world.front._table.routes if one.path == "/api/intelligence")
    before = route.timeout_s
    object.__setattr__(route, "timeout_s", 0.3)
    yield
    object.__setattr__(route, "timeout_s", before)


async def test_connections_are_kept_and_stale_ones_tried_again(world: Any, operator: Any) -> None:
    world.raw.requests.clear()
    await _raw(world, operator, OK, keep=True)
    before = world.raw.connections
    await _raw(world, operator, OK, keep=True)
    assert world.raw.connections == before
    # The service closes after the next answer, without saying so: the GET after it meets a
    # closed (or closing) connection and is tried on a new one.
    await _raw(world, operator, OK, keep=False)
    assert (await _raw(world, operator, OK, keep=False)).status_code == 200
    assert len(world.raw.requests) == 4


async def test_a_write_is_never_tried_twice(world: Any, operator: Any) -> None:
    await _raw(world, operator, OK, keep=True)
    world.raw.requests.clear()
    answer = await _raw(world, operator, b"", method="POST", keep=False)
    assert answer.status_code == 502
    assert len(world.raw.requests) == 1


async def test_a_failing_service_is_left_alone_for_a_while(world: Any, operator: Any) -> None:
    world.front._proxy._targets["intelligence"].breaker.succeeded()
    for _ in range(5):
        assert (await _raw_failing(world, operator)).status_code == 502
    connections = world.raw.connections
    refused = await _raw_failing(world, operator)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert world.raw.connections == connections
    world.front._proxy._targets["intelligence"].breaker.succeeded()


async def _raw_failing(world: Any, operator: Any) -> httpx.Response:
    world.raw.answer, world.raw.hold, world.raw.keep = b"", False, False
    return await world.client.get(RAW, headers=operator.headers["Host"])


def test_a_breaker_lets_one_try_and_closes_on_success() -> None:
    moment = 0.0
    breaker = Breaker("x", 2, clock=lambda: moment)
    for _ in range(5):
        breaker.enter()
        breaker.failed()
        breaker.leave()
    with pytest.raises(Shed):
        breaker.enter()
    moment = 3.0
    breaker.enter()  # the trial
    with pytest.raises(Shed):
        breaker.enter()
    breaker.succeeded()
    breaker.enter()
    with pytest.raises(Shed, match="busy"):
        breaker.enter()
    breaker.leave()
    breaker.enter()


async def test_public_routes_need_no_credentials(world: Any) -> None:
    answer = await world.client.get("/api/calculator/miner-models")
    assert answer.json()["kind"] == "anonymous"
    assert answer.json()["organisation_id"] == "00000000-0000-0000-0000-000000000000"
    assert (await world.client.get("/api/calculator/miner-models/1")).status_code == 200
    assert (await world.client.post("/api/calculator/miner-models", json={})).status_code == 401
    bad = {"Authorization": "Bearer nonsense"}
    assert (await world.client.get("/api/calculator/miner-models", headers=bad)).status_code == 401


async def test_problems_are_documents(world: Any, operator: Any) -> None:
    for path, status in (("/nothing", 404), ("/api/hosting/x", 401)):
        answer = await world.client.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        document = json.loads(answer.content)
        assert document["status"] == status
        assert document["instance"] == answer.headers["x-request-id"]
        page = await world.client.get(document["type"])
        assert page.status_code == 200


async def test_a_service_may_answer_before_the_body_ends(world: Any, operator: Any) -> None:
    """It has seen enough; the rest is not sent, and the connection is not used again."""
    world.raw.answer = b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno"
    world.raw.hold, world.raw.keep = False, True
    world.front._proxy._targets["intelligence"].breaker.succeeded()

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * 20_000
            await asyncio.sleep(0.02)

    headers = operator.headers["Host"] | {"Content-Type": "application/json"}
    answer = await world.client.post(RAW, content=pieces(), headers=headers)
    assert (answer.status_code, answer.content) == (422, b"no")


async def test_a_slow_reader_holds_the_service_back(world: Any, operator: Any) -> None:
    """Four megabytes for somebody who does not read: they wait in the service, not here."""
    bearer = operator.headers["Host"]["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=65_536)
    writer.write(
        f"GET /api/hosting/big HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\n"
        f"Authorization: {bearer}\r\nConnection: close\r\n\r\n".encode()
    )
    await asyncio.sleep(0.5)
    received = 0
    while chunk := await reader.read(65_536):
        received += len(chunk)
    assert received > 64 * 65_536
    writer.close()
    await writer.wait_closed()


async def test_a_client_that_leaves_in_mid_upload_ends_the_call(world: Any, operator: Any) -> None:
    seen = len(world.echo.seen)
    bearer = operator.headers["Host"]["Authorization"]
    _, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(
        f"POST /api/hosting/echo HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\n"
        f"Authorization: {bearer}\r\nContent-Type: application/json\r\n"
        "Content-Length: 200000\r\n\r\n".encode()
        + b"x" * 100_000
    )
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()
    await asyncio.sleep(0.2)
    assert len(world.echo.seen) == seen
    breaker = world.front._proxy._targets["hosting"].breaker
    assert breaker._in_flight == 0


async def test_a_fault_of_ours_is_a_problem_too(
    world: Any, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    monkeypatch.setattr(world.front._limits, "spend", broken)
    answer = await world.client.get("/api/hosting/echo", headers=operator.headers["Host"])
    assert answer.status_code == 500
    assert answer.json()["code"] == "server_fault"
    assert "bug" not in answer.text


async def test_a_large_answer_in_one_piece_is_no_long_header(world: Any, operator: Any) -> None:
    body = b"x" * 250_000
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(5):
        answer = await _raw(world, operator, head + body)
        assert answer.status_code == 200
        assert answer.content == body


async def test_a_head_without_end_is_cut_off(world: Any, operator: Any) -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"".join(
        b"X-%d: %s\r\n" % (n, b"y" * 99) for n in range(3000)
    )
    answer = await _raw(world, operator, endless, hold=True)
    assert answer.status_code == 502
