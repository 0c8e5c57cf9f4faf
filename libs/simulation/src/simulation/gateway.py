"""A patient client of the running system's public API, as any client would speak to it."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
import orjson

ATTEMPTS = 8
LONGEST_WAIT_S = 8.0
PAGE_SIZE = 200
TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)
PASSING = frozenset({429, 502, 503, 504})


class GatewayRefused(Exception):
    """The system is away, or did not accept a request; the message says which."""

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s: float | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed a moment later.

        A machine reaches telemetry as an event, a moment after hosting knows it.
        """
        return self.status == 0 or self.status in PASSING or self.code == "machine_unknown"


class Gateway:
    """One login. Logs in again when its token has run out, and waits out what passes."""

    def __init__(
        self, url: str, email: str, password: str, *, attempts: int = ATTEMPTS, pause_s: float = 0.5
    ) -> None:
        self._url = url.rstrip("/")
        self._login = {"email": email, "password": password}
        self._attempts = attempts
        self._pause_s = pause_s
        self._token = ""
        self._logging_in = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(timeout=TIMEOUT, json_serialize=_dumps)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def miners(self, site_id: str) -> AsyncIterator[dict[str, Any]]:
        """Yield every machine of a site."""
        cursor: str | None = ""
        while cursor is not None:
            query = {"site_id": site_id, "cursor": cursor, "page_size": str(PAGE_SIZE)}
            page = await self.call("GET", "/api/hosting/miners", query=query)
            for miner in page["items"]:
                yield miner
            cursor = page["next_cursor"]

    async def call(
        self, method: str, path: str, body: object = None, *, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a request until it is answered for good, and return the answer.

        Raises:
            GatewayRefused: it was refused, or nobody answered in all the attempts.
        """
        for attempt in range(1, self._attempts + 1):
            try:
                return await self._call_once(method, path, body, query)
            except GatewayRefused as refusal:
                if not refusal.may_pass or attempt == self._attempts:
                    raise
                wait_s = refusal.retry_after_s or self._pause_s * 2 ** (attempt - 1)
                await asyncio.sleep(min(LONGEST_WAIT_S, wait_s))
        raise AssertionError  # the last attempt returns or raises

    async def _call_once(
        self, method: str, path: str, body: object, query: dict[str, str] | None
    ) -> dict[str, Any]:
        token = self._token or await self._log_in("")
        try:
            return await self._send(method, path, body, query=query, token=token)
        except GatewayRefused as refusal:
            if refusal.status != HTTPStatus.UNAUTHORIZED:
                raise
        token = await self._log_in(token)
        return await self._send(method, path, body, query=query, token=token)

    async def _log_in(self, stale: str) -> str:
        async with self._logging_in:  # all who wait share one login
            if self._token == stale:
                answer = await self._send("POST", "/api/auth/token", self._login)
                self._token = str(answer["access_token"])
            return self._token

    async def _send(
        self,
        method: str,
        path: str,
        body: object,
        *,
        query: dict[str, str] | None = None,
        token: str = "",
    ) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._http.request(
                method, self._url + path, json=body, params=query, headers=headers
            ) as answer:
                raw = await answer.read()
                if answer.ok:
                    return cast("dict[str, Any]", orjson.loads(raw))
                raise _refusal(f"{method} {path}", answer, raw)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise GatewayRefused(f"No answer from {self._url}: {reason}") from error
        except orjson.JSONDecodeError as error:
            raise GatewayRefused(f"{self._url} answers no JSON; is it the gateway?") from error


def _refusal(request: str, answer: aiohttp.ClientResponse, raw: bytes) -> GatewayRefused:
    try:
        problem: dict[str, Any] = orjson.loads(raw)
        detail, code = str(problem["detail"]), str(problem["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        detail, code = raw[:200].decode(errors="replace"), ""
    refusal = GatewayRefused(
        f"{request}: {answer.status} {detail}", status=answer.status, code=code
    )
    wait = answer.headers.get("Retry-After", "")
    refusal.retry_after_s = float(wait) if wait.isdigit() else None
    return refusal


def _dumps(document: object) -> str:
    return orjson.dumps(document).decode()
