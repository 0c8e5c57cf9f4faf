"""One request in the front's hands."""

from starlette.types import Message, Receive, Scope, Send

from common.ids import new_id
from gateway.front.answers import RawHeaders
from gateway.front.guard import Head
from gateway.front.table import Route


class Exchange:
    """A request, its way back to the client, and what is known of it so far."""

    __slots__ = (
        "_send", "counted", "extra", "head", "receive", "request_id", "route", "scope", "started",
        "status",
    )  # fmt: skip

    head: Head
    route: Route

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.request_id = str(new_id())
        self.extra: RawHeaders = []
        """Headers that this answer carries beside those of every answer."""
        self.started = False
        self.counted = False
        """Whether the identity application counts this request in its metrics."""
        self.status = 500

    async def send_whole(self, start: Message, body: bytes) -> None:
        """Send an answer in one go."""
        self.started = True
        self.status = start["status"]
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    async def send(self, message: Message) -> None:
        """Send one ASGI message to the client."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
        await self._send(message)

    def abort(self) -> None:
        """Break the connection: the answer's head is out, and its body cannot be finished."""
        abort = self.scope.get("extensions", {}).get("hashyard.abort")
        if abort is not None:
            abort()
