"""How the grid's providers can be told to misbehave."""

from enum import StrEnum

from aiohttp import web

HUGE_BYTES = 26 * 1024 * 1024
RETRY_AFTER_S = 30
_PAGE = "<!DOCTYPE html><html><body><h1>Just a moment (simulated)</h1></body></html>"
_STATUSES = {"status_429": 429, "status_500": 500}


class GridFault(StrEnum):
    """One way of answering badly; those after `refused` spoil figures instead of the answer."""

    HTML = "html"
    TRUNCATED = "truncated"
    HUGE_BODY = "huge_body"
    EMPTY = "empty"
    STATUS_429 = "status_429"
    STATUS_500 = "status_500"
    SLOW = "slow"
    REFUSED = "refused"
    NEGATIVE = "negative"
    NAN = "nan"
    HUGE_NUMBER = "huge_number"
    WRONG_TYPE = "wrong_type"
    OTHER_DAY = "other_day"
    DUPLICATES = "duplicates"
    DISORDER = "disorder"
    GAP = "gap"


def instead(request: web.Request, fault: GridFault | None) -> web.Response | None:
    """Return what is answered in place of the figures, or None where they may be told."""
    if fault is GridFault.HTML:
        return web.Response(text=_PAGE, content_type="text/html")
    if fault is GridFault.EMPTY:
        return web.Response(body=b"", content_type="application/json")
    if fault is GridFault.HUGE_BODY:
        return web.Response(body=b" " * HUGE_BYTES, content_type="application/json")
    if fault is GridFault.REFUSED:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=502)
    if fault is not None and fault in _STATUSES:
        retry = {"Retry-After": str(RETRY_AFTER_S)}
        return web.Response(text="(simulated)", status=_STATUSES[fault], headers=retry)
    return None


def cut(body: bytes, fault: GridFault | None) -> bytes:
    """Return a body as it leaves: whole, or only its first half."""
    return body[: len(body) // 2] if fault is GridFault.TRUNCATED else body


def mangled(rows: list[dict[str, object]], fault: GridFault | None) -> list[dict[str, object]]:
    """Return rows with a hole, repeated, or out of order."""
    count = len(rows)
    if fault is GridFault.GAP:
        return rows[: count // 3] + rows[count // 2 :]
    if fault is GridFault.DUPLICATES:
        return [row for row in rows for _ in range(2)]
    if fault is GridFault.DISORDER:
        return rows[1::2] + rows[::2]
    return rows


def spoiled(value: object, fault: GridFault | None) -> object:
    """Return a figure as a provider with this fault tells it."""
    wrong: dict[GridFault, object] = {
        GridFault.NEGATIVE: -42,
        GridFault.NAN: "NaN",
        GridFault.HUGE_NUMBER: 10**30,
        GridFault.WRONG_TYPE: {"value": value},
    }
    return value if fault is None else wrong.get(fault, value)
