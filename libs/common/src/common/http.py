"""Outbound HTTP: time-outs, a size cap and the trace headers on every call."""

from typing import Any

import httpx
import orjson

from common.auth import HEADER, Principal, mint
from common.errors import Problem, Unavailable

MAX_ANSWER_BYTES = 16 * 1024 * 1024


def client(base_url: str, *, timeout_s: float = 5.0, **options: Any) -> httpx.AsyncClient:
    """Return a client for one party. It follows no redirects and takes no proxy from outside."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=min(2.0, timeout_s)),
        limits=httpx.Limits(max_connections=50, max_keepalive_connections=20, keepalive_expiry=15),
        follow_redirects=False,
        trust_env=False,
        **options,
    )


class Refused(Problem):
    """Another service's answer to what we asked for a caller, passed on as it is."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail", "")))
        self.status = status  # pyright: ignore[reportAttributeAccessIssue]  (this instance's own)
        self.document = document

    def body(self, request_id: str) -> dict[str, Any]:
        return self.document | {"instance": request_id}


class ServiceClient:
    """Calls another of our services on behalf of a principal."""

    def __init__(
        self,
        base_url: str,
        *,
        audience: str,
        key: str,
        timeout_s: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._audience = audience
        self._key = key
        self._client = client(base_url, timeout_s=timeout_s, transport=transport)

    async def get(self, principal: Principal, path: str, **options: Any) -> Any:
        """GET a path and return its JSON. See `call`."""
        return await self.call(principal, "GET", path, **options)

    async def post(self, principal: Principal, path: str, **options: Any) -> Any:
        """POST to a path and return its JSON. See `call`."""
        return await self.call(principal, "POST", path, **options)

    async def call(self, principal: Principal, method: str, path: str, **options: Any) -> Any:
        """Send a request as `principal` and return the answer's JSON.

        Raises:
            Unavailable: the service is away, too slow, or answered with a 5xx.
            Refused: it answered with a problem, which becomes our own answer.
        """
        headers = {HEADER: mint(principal, audience=self._audience, key=self._key)}
        if "json" in options:
            options["content"] = orjson.dumps(options.pop("json"), default=str)
            headers["Content-Type"] = "application/json"
        try:
            answer = await self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"The {self._audience} service cannot be reached; try again.", retry_after_s=2
            ) from error
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"The {self._audience} service failed; try again.", retry_after_s=2)
        document = orjson.loads(answer.content)
        if answer.is_error:
            raise Refused(answer.status_code, document)
        return document

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()
