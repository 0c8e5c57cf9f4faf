"""What is no honest HTTP request, sent as raw bytes: refused, never passed on, never a 5xx."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.front.guard import MAX_HEADER_BYTES, MAX_URL_BYTES

PATH = b"/api/calculator/miner-models"
CONTRACTS = Path(__file__).parents[2] / "contracts" / "openapi"


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def _request(host: bytes, *lines: bytes, method: bytes = b"GET", path: bytes = PATH) -> bytes:
    head = [method + b" " + path + b" HTTP/1.1", b"Host: " + host, b"Connection: close", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n"


@pytest.fixture
def host(world: Any) -> bytes:
    return b"127.0.0.1:%d" % world.port


CHUNKED = b"Transfer-Encoding: chunked"
TYPE = b"Content-Type: application/json"


async def test_a_plain_request_is_passed_on(world: Any, host: bytes) -> None:
    assert _status(await world.speak(_request(host))) == 200


@pytest.mark.parametrize(
    ("lines", "body", "status"),
    [
        ((CHUNKED, b"Content-Length: 4", TYPE), b"0\r\n\r\n", 400),
        ((b"Content-Length: 2", b"Content-Length: 2", TYPE), b"{}", 400),
        ((b"Content-Length: 2", b"Content-Length: 3", TYPE), b"{}", 400),
        ((b"Content-Length: +2", TYPE), b"{}", 400),
        ((b"Content-Length: 2,2", TYPE), b"{}", 400),
        ((b"Transfer-Encoding: gzip, chunked", TYPE), b"0\r\n\r\n", 400),
        ((b"Transfer-Encoding: chunked, chunked", TYPE), b"0\r\n\r\n", 400),
        ((b"Transfer-Encoding : chunked", TYPE), b"0\r\n\r\n", 400),
        ((b"Transfer-Encoding: xchunked", TYPE), b"0\r\n\r\n", 400),
        ((b"Content-Encoding: gzip", b"Content-Length: 2", TYPE), b"{}", 415),
        ((b"Content-Length: 2", b"Content-Type: text/plain"), b"{}", 415),
        ((b"Content-Length: 2",), b"{}", 415),
        ((b"Content-Length: 2", TYPE + b"; charset=utf-16"), b"{}", 415),
        ((b"Content-Length: 2", TYPE + b"; charset=utf-8"), b"{}", 401),
        ((b"Content-Length: 2", TYPE), b"{}", 401),
        ((b"Content-Length: 2", TYPE, b"Expect: 200-ok"), b"{}", 417),
    ],
)
async def test_framing_and_types_of_bodies(
    world: Any, host: bytes, lines: tuple[bytes, ...], body: bytes, status: int
) -> None:
    request = _request(host, *lines, method=b"POST", path=b"/api/hosting/echo") + body
    answer = await world.speak(request)
    assert _status(answer) == status
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    "body", [b"4\n{}  \n0\n\n", b"0x4\r\n{}  \r\n0\r\n\r\n", b"-1\r\n\r\n", b"4\r\n{}  XX0\r\n\r\n"]
)
async def test_malformed_chunks(world: Any, host: bytes, operator: Any, body: bytes) -> None:
    bearer = operator.headers["Host"]["Authorization"].encode()
    request = _request(
        host,
        b"Authorization: " + bearer,
        CHUNKED,
        TYPE,
        method=b"POST",
        path=b"/api/hosting/echo",
    )
    seen = len(world.echo.seen)
    assert _status(await world.speak(request + body)) == 400
    assert len(world.echo.seen) == seen


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET %(path)s HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nHost: %(host)s\r\nConnection: close\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s/admin?\r\nConnection: close\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: user@%(host)s\r\nConnection: close\r\n\r\n",
        b"GET http://evil.example%(path)s HTTP/1.1\r\nHost: %(host)s\r\n\r\n",
        b"GET ftp://%(host)s%(path)s HTTP/1.1\r\nHost: %(host)s\r\n\r\n",
        b"GET %(path)s HTTP/1.1\nHost: %(host)s\n\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nX-A: b\r\n folded\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nX_User_Id: 1\r\nConnection: close\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nX A: 1\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nX-A: a\x00b\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nContent-Length: 2\r\n\r\n{}",
        b"GET %(path)s HTTP/1.0\r\nHost: %(host)s\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET %(path)s HTTP/2.0\r\nHost: %(host)s\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET %(path)s HTTP/1.1\r\nHost: %(host)s\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
    ],
)
async def test_malformed_requests(world: Any, host: bytes, request_bytes: bytes) -> None:
    answer = await world.speak(request_bytes % {b"path": PATH, b"host": host})
    no_method = request_bytes.startswith((b"PRI", b"\x16"))
    assert _status(answer) == 400 or (no_method and _status(answer) == 405)
    assert b"application/problem+json" in answer


async def test_an_absolute_target_of_ours_is_fine(world: Any, host: bytes) -> None:
    path = b"http://" + host + PATH
    assert _status(await world.speak(_request(host, path=path))) == 200


@pytest.mark.parametrize(
    "path",
    [
        b"/api/crm/../auth/users",
        b"/api/hosting/%2e%2e/auth",
        b"/api/hosting/.%2e/auth",
        b"/api/hosting/%252e%252e",
        b"//api/hosting",
        b"/api//hosting",
        b"/api/hosting/./x",
        b"/api\\hosting",
        b"/api/hosting;x=1",
        b"/api/hosting/%3bx",
        b"/api/hosting/%00",
        b"/api/hosting/%2Fx",
        b"/api/hosting/%5cx",
        b"/api/hosting/%c0%ae",
        b"/api/hosting/%zz",
        b"/api/hosting/%f",
        b"/api/hosting/%0d%0aX:1",
        b"/api/h%6fsting/x",
        b"/api/hosting/\xff",
        b"/api/hosting/x?api_key=hy_live_abc",
        b"/api/hosting/x?a=\xff",
    ],
)
async def test_ambiguous_paths(world: Any, host: bytes, path: bytes) -> None:
    assert _status(await world.speak(_request(host, path=path))) == 400


@pytest.mark.parametrize(
    "query", [b"page=1&page=2", b"page=1&size=2&p%61ge=1", b"page&page", b"page=&x=1&page="]
)
async def test_a_name_given_twice_in_the_query(world: Any, host: bytes, query: bytes) -> None:
    answer = await world.speak(_request(host, path=PATH + b"?" + query))
    assert _status(answer) == 422
    assert b'"field":"page"' in answer
    once = await world.speak(_request(host, path=PATH + b"?page=1&Page=2&size=page&&"))
    assert _status(once) == 200


def test_no_route_takes_a_list_from_the_query() -> None:
    """The guard refuses repeated names, so that such a route could never be used."""
    documents = sorted(CONTRACTS.glob("*.json"))
    assert documents
    for document in documents:
        for path, operations in json.loads(document.read_text())["paths"].items():
            for operation in operations.values():
                for parameter in operation.get("parameters", []):
                    is_list = '"array"' in json.dumps(parameter["schema"])
                    assert not (parameter["in"] == "query" and is_list), (path, parameter["name"])


@pytest.mark.parametrize(
    "path", [b"/API/hosting", b"/api/hosting./x", b"/api", b"/admin", b"/metrics", b"/health/live",
             b"/api/crm/x", b"/api/hosting/", b"/docs", b"/.env"],
)  # fmt: skip
async def test_unlisted_paths(world: Any, host: bytes, path: bytes) -> None:
    status = _status(await world.speak(_request(host, path=path)))
    assert status == (400 if path == b"/.env" else 404)


@pytest.mark.parametrize("method", [b"TRACE", b"CONNECT", b"FOO", b"PURGE"])
async def test_other_methods(world: Any, host: bytes, method: bytes) -> None:
    path = host if method == b"CONNECT" else PATH
    answer = await world.speak(_request(host, method=method, path=path))
    assert _status(answer) == 405
    assert b"allow: " in answer.lower()


async def test_the_method_of_a_route(world: Any, host: bytes) -> None:
    answer = await world.speak(_request(host, method=b"DELETE", path=b"/api/me"))
    assert _status(answer) == 405
    assert b"allow: GET, HEAD, OPTIONS\r\n" in answer
    override = _request(host, b"X-HTTP-Method-Override: DELETE", path=b"/api/me")
    assert _status(await world.speak(override)) == 401


def _parts(answer: bytes) -> tuple[set[bytes], bytes]:
    """Return the header fields less those that tell of the moment, and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    moving = (b"date:", b"x-request-id:", b"ratelimit:")
    return {line for line in head.lower().split(b"\r\n") if not line.startswith(moving)}, body


@pytest.mark.parametrize(
    ("path", "with_token"),
    [
        (PATH, False),
        (b"/", False),
        (b"/api/openapi.json", False),
        (b"/problems/not-found", False),
        (b"/api/me", False),
        (b"/api/me", True),
        (b"/api/organisations", True),
        (b"/hosting/miner/m1/detail", True),
        (b"/nothing", False),
    ],
)
async def test_head_is_get_without_the_body(
    world: Any, host: bytes, operator: Any, path: bytes, *, with_token: bool
) -> None:
    bearer = operator.headers["Owner"]["Authorization"].encode()
    lines = [b"Authorization: " + bearer] if with_token else []
    get, _ = _parts(await world.speak(_request(host, *lines, path=path)))
    answer = await world.speak(_request(host, *lines, path=path, method=b"HEAD"))
    head, body = _parts(answer)
    assert body == b""
    if path.startswith(b"/hosting") or path == PATH:  # the echo's answer holds the request's id
        get = {line for line in get if not line.startswith(b"content-length")}
        head = {line for line in head if not line.startswith(b"content-length")}
    assert head == get
    if b"401" not in answer[:20] and world.echo.seen and path == PATH:
        assert world.echo.seen[-1]["method"] == "GET"


async def test_head_of_a_long_answer_waits_for_nothing(
    world: Any, host: bytes, operator: Any
) -> None:
    bearer = b"Authorization: " + operator.headers["Host"]["Authorization"].encode()
    for path in (b"/api/hosting/big", b"/api/telemetry/stream"):
        async with asyncio.timeout(1.5):
            answer = await world.speak(_request(host, bearer, path=path, method=b"HEAD"))
        assert _status(answer) == 200
        assert answer.endswith(b"\r\n\r\n")


async def test_head_of_a_route_without_get(world: Any, host: bytes) -> None:
    answer = await world.speak(_request(host, method=b"HEAD", path=b"/api/auth/token"))
    assert _status(answer) == 405
    assert b"allow: OPTIONS, POST\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


async def test_a_refused_head_has_no_body_either(world: Any, host: bytes) -> None:
    answer = await world.speak(
        b"HEAD ftp://other/ HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
    )
    assert _status(answer) == 400
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        (b"/", b"GET, HEAD, OPTIONS"),
        (b"/api/auth/token", b"OPTIONS, POST"),
        (b"/api/api-keys", b"GET, HEAD, OPTIONS, POST"),
        (b"/api/api-keys/1", b"DELETE, OPTIONS"),
        (b"/api/hosting/sites", b"GET, HEAD, OPTIONS, POST"),
        (b"/api/hosting/sites/1", b"DELETE, GET, HEAD, OPTIONS, PATCH"),
        (b"/hosting/miner/1/start", b"OPTIONS, POST"),
    ],
)
async def test_options_says_what_is_served(
    world: Any, host: bytes, path: bytes, allow: bytes
) -> None:
    foreign = (b"Origin: https://elsewhere.example", b"Access-Control-Request-Method: POST")
    answer = await world.speak(_request(host, *foreign, method=b"OPTIONS", path=path))
    head, body = _parts(answer)
    assert _status(answer) == 204
    assert b"allow: " + allow.lower() in head
    assert body == b""
    assert b"access-control" not in answer.lower()
    assert b"content-length" not in answer.lower()
    assert b"transfer-encoding" not in answer.lower()


async def test_options_is_judged_like_any_request(world: Any, host: bytes) -> None:
    for path, status in ((b"/nothing", 404), (b"/api/../x", 400), (b"/api//x", 400)):
        answer = await world.speak(_request(host, method=b"OPTIONS", path=path))
        assert _status(answer) == status
    body = _request(host, b"Content-Length: 2", TYPE, method=b"OPTIONS") + b"{}"
    assert _status(await world.speak(body)) == 400


async def test_listed_origins_may_read_answers(
    world: Any, host: bytes, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, other = b"https://app.example", b"https://app.example.evil.example"
    monkeypatch.setattr(world.front._options, "origins", frozenset({ours}))
    asked = b"Access-Control-Request-Method: PATCH"
    path = b"/api/hosting/sites/1"
    preflight = _request(host, b"Origin: " + ours, asked, method=b"OPTIONS", path=path)
    head, _ = _parts(await world.speak(preflight))
    assert b"access-control-allow-origin: " + ours in head
    assert b"access-control-allow-methods: delete, get, head, options, patch" in head
    assert b"vary: origin" in head
    bearer = b"Authorization: " + operator.headers["Owner"]["Authorization"].encode()
    for where in (PATH, b"/api/me", b"/api/openapi.json", b"/nothing"):
        head, _ = _parts(await world.speak(_request(host, bearer, b"Origin: " + ours, path=where)))
        assert b"access-control-allow-origin: " + ours in head
    for foreign in (other, b"null", b"https://app.example, https://x.example"):
        request = _request(host, b"Origin: " + foreign, asked, method=b"OPTIONS", path=path)
        answer = (await world.speak(request)).lower()
        assert b"access-control" not in answer
        assert b"vary: origin" in answer
    assert b"access-control-allow-credentials" not in (await world.speak(preflight)).lower()


async def test_too_large_heads(world: Any, host: bytes) -> None:
    many = [b"X-%d: 1" % number for number in range(65)]
    assert _status(await world.speak(_request(host, *many))) == 431
    large = b"Cookie: a=" + b"x" * (MAX_HEADER_BYTES + 1)
    assert _status(await world.speak(_request(host, large))) == 431
    huge = b"X-Huge: " + b"x" * 200_000
    assert _status(await world.speak(_request(host, huge))) in (0, 431)
    long = PATH + b"/" + b"x" * MAX_URL_BYTES
    assert _status(await world.speak(_request(host, path=long))) == 414
    longer = PATH + b"/" + b"x" * 100_000
    assert _status(await world.speak(_request(host, path=longer))) == 414


async def test_only_json_is_served(world: Any, host: bytes) -> None:
    assert _status(await world.speak(_request(host, b"Accept: application/xml"))) == 406
    for accept in (b"application/json", b"text/html, application/xml;q=0.9", b"text/event-stream"):
        assert _status(await world.speak(_request(host, b"Accept: " + accept))) == 200


async def test_a_slow_head_is_not_waited_for(world: Any, host: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(b"GET " + PATH + b" HTTP/1.1\r\nHost: " + host + b"\r\n")
    dripping = asyncio.create_task(_drip(writer))
    async with asyncio.timeout(3):
        answer = await reader.read()
    dripping.cancel()
    writer.close()
    assert _status(answer) == 408


async def test_silence_is_not_waited_for(world: Any) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    async with asyncio.timeout(3):
        assert await reader.read() == b""
    writer.close()


async def test_a_kept_connection_may_pause_between_requests(world: Any, host: bytes) -> None:
    request = b"GET " + PATH + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    for _ in range(2):
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        await asyncio.sleep(world.settings.header_timeout_s + 0.2)
    writer.close()


async def test_a_slow_body_is_not_waited_for(world: Any, host: bytes, operator: Any) -> None:
    request = _request(
        host,
        b"Authorization: " + operator.headers["Host"]["Authorization"].encode(),
        b"Content-Length: 100",
        TYPE,
        method=b"POST",
        path=b"/api/hosting/echo",
    )
    assert _status(await world.speak(request + b"{")) == 408


async def _drip(writer: asyncio.StreamWriter) -> None:
    for number in range(1000):
        writer.write(b"X-%d: 1\r\n" % number)
        await asyncio.sleep(0.1)


async def test_pipelined_requests_are_answered_in_order(world: Any, host: bytes) -> None:
    first = b"GET " + PATH + b"/1 HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    second = _request(host, path=PATH + b"/2")
    answer = await world.speak(first + second)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert answer.index(b"miner-models/1") < answer.index(b"miner-models/2")


async def test_garbage_after_a_request_is_not_its_answer(world: Any, host: bytes) -> None:
    first = b"GET " + PATH + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    answer = await world.speak(first + b"\x00garbage\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    assert answer.count(b"HTTP/1.1 200") <= 1


async def test_security_headers_are_on_every_answer(world: Any, host: bytes) -> None:
    for path in (PATH, b"/", b"/nothing", b"/api/me"):
        answer = (await world.speak(_request(host, path=path))).lower()
        for name in (b"x-content-type-options: nosniff", b"content-security-policy: default-src",
                     b"referrer-policy: no-referrer", b"x-request-id: "):  # fmt: skip
            assert name in answer, path
        assert b"server:" not in answer
