"""Faults of the whole answer: refused, dropped, cut, replaced, or without end."""

from collections.abc import Mapping

import orjson
from aiohttp import web

from simulation.upstreams.faults import Fault

RETRY_AFTER_S = 30
HUGE_BYTES = 26 * 1024 * 1024
CHUNK = b'"' + b"x" * 65_533 + b'",'
PAGE = """<!DOCTYPE html>
<html><head><title>Just a moment (simulated)</title></head>
<body><h1>Checking your connection</h1><p>Error 1020. This page is simulated.</p></body></html>
"""
TOO_MANY: dict[str, object] = {
    "coingecko": {"status": {"error_code": 429, "error_message": "Rate limit (simulated)"}},
    "blockchain": "Rate limited (simulated)",
    "mempool": "Too many requests (simulated)",
    "ankr": {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32005, "message": "Rate limit (simulated)"},
    },
    "binance": {"code": -1003, "msg": "Too many requests (simulated)."},
    "okx": {"code": "50011", "msg": "Too many requests (simulated)", "data": []},
    "deribit": {"jsonrpc": "2.0", "error": {"code": 10028, "message": "too_many_requests"}},
    "bybit": {"retCode": 10006, "retMsg": "Too many visits (simulated)", "result": {}},
}


async def refuse_or_break(
    request: web.Request, provider: str, fault: Fault | None, headers: Mapping[str, str]
) -> web.StreamResponse | None:
    """Return what is answered instead of the figures, or none when they may be told."""
    if fault is Fault.REFUSED:
        return _dropped(request)
    if fault is Fault.HUGE_BODY:
        return await _endless(request, headers)
    if fault is Fault.STATUS_429:
        return _too_many(provider)
    return _instead(fault)


def spoil(response: web.StreamResponse, fault: Fault | None) -> web.StreamResponse:
    """Return the answer cut in the middle, when that is the fault."""
    if fault is Fault.TRUNCATED and isinstance(response, web.Response):
        whole = response.body if isinstance(response.body, bytes) else b""
        return web.Response(
            body=whole[: max(len(whole) // 2, 1)],
            content_type=response.content_type,
            status=response.status,
        )
    return response


def _instead(fault: Fault | None) -> web.Response | None:
    if fault is Fault.HTML:
        return web.Response(text=PAGE, content_type="text/html")
    if fault is Fault.EMPTY:
        return web.Response(body=b"", content_type="application/json")
    if fault is Fault.STATUS_500:
        return web.Response(text="Internal Server Error (simulated)", status=500)
    return None


def _dropped(request: web.Request) -> web.Response:
    """Close the connection without a word; the response is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)


async def _endless(request: web.Request, headers: Mapping[str, str]) -> web.StreamResponse:
    """Send 26 MB in chunks, without saying beforehand how much it will be."""
    response = web.StreamResponse(headers=headers)
    response.content_type = "application/json"
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(b"[")
    for _ in range(HUGE_BYTES // len(CHUNK)):
        await response.write(CHUNK)
    await response.write(b'""]')
    await response.write_eof()
    return response


def _too_many(provider: str) -> web.Response:
    body = TOO_MANY[provider]
    written = body.encode() if isinstance(body, str) else orjson.dumps(body)
    kind = "text/plain" if isinstance(body, str) else "application/json"
    retry = {"Retry-After": str(RETRY_AFTER_S)}
    return web.Response(body=written, status=429, content_type=kind, headers=retry)
