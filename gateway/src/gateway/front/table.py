"""The route table: what is reachable, for whom, how large and how long. All else is 404."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from common.errors import NotFound, UnsupportedMedia
from gateway.front.guard import METHODS, Head
from gateway.problems import WrongMethod

Access = Literal["required", "optional", "tried", "ignored"]
"""`optional`: anonymous without credentials, refused with bad ones; `tried`: bad ones are none."""
JSON = frozenset({b"application/json"})
TABLES = frozenset(
    {
        b"application/json",
        b"multipart/form-data",
        b"text/csv",
        b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)
FORM = frozenset({b"application/x-www-form-urlencoded"})
_CHARSETS = frozenset({b"utf-8", b'"utf-8"', b"us-ascii"})
_PARAMETER = re.compile(r"\{\w+\}")
_KIB = 1024
_MIB = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. `path` is a prefix; `{name}` stands for one segment."""

    path: str
    service: str
    methods: frozenset[str] = METHODS
    access: Access = "required"
    scope: str | None = None
    """Permission that the gateway itself asks for; the services ask for theirs."""
    only_api_keys: bool = False
    exact: bool = False
    """Nothing below the path."""
    body_cap_bytes: int = 1 * _MIB
    media: frozenset[bytes] = JSON
    timeout_s: float = 30.0
    stream: bool = False
    """May answer with server-sent events."""
    enrolment: bool = False
    """Open to who still owes the second factor that the role asks for."""
    page: bool = False
    """A page that the gateway itself made at its start."""
    rewrite: str | None = None
    """The path under which the service knows it, when this is an alias."""
    pattern: re.Pattern[bytes] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        literal = "".join(
            "([^/]+)" if _PARAMETER.fullmatch(part) else re.escape(part)
            for part in re.split(r"(\{\w+\})", self.path)
        )
        tail = "" if self.exact else "(?:/.*)?"
        object.__setattr__(self, "pattern", re.compile((literal + tail).encode(), re.DOTALL))

    def target(self, head: Head) -> bytes:
        """Return the path and query for the service."""
        path = head.path
        if self.rewrite is not None:
            path = self.pattern.sub(self.rewrite.encode(), path)
        return path + b"?" + head.query if head.query else path


class Table:
    """The routes by their first two segments, the special ones before the prefix they refine."""

    def __init__(self, routes: Iterable[Route], services: Mapping[str, object]) -> None:
        self.routes = tuple(routes)
        self._areas: dict[bytes, tuple[Route, ...]] = {}
        unrouted = set(services) - {route.service for route in self.routes}
        if unrouted:
            msg = f"no route leads to: {', '.join(sorted(unrouted))}"
            raise ValueError(msg)
        seen: set[str] = set()
        for route in self.routes:
            _check(route, services, seen)
            area = _area(route.path.encode())
            self._areas[area] = (*self._areas.get(area, ()), route)

    def match(self, head: Head) -> Route:
        """Return the route of a request.

        Raises:
            NotFound: no line of the table names this path.
            WrongMethod: one does, but not for this method.
        """
        for route in self._candidates(head.path):
            if head.method in route.methods and route.pattern.fullmatch(head.path):
                return route
        found = self.methods(head.path)
        if found:
            raise WrongMethod(f"{head.method} is not served here.", allowed=allowed(found))
        raise NotFound("There is nothing at this path.")

    def methods(self, path: bytes) -> frozenset[str]:
        """Return what the lines of the table that name this path serve together."""
        lines = [route for route in self._candidates(path) if route.pattern.fullmatch(path)]
        return frozenset[str]().union(*(route.methods for route in lines))

    def _candidates(self, path: bytes) -> tuple[Route, ...]:
        found = self._areas.get(_area(path))
        return found or self._areas.get(path[: path.find(b"/", 1)], ())


def allowed(methods: Iterable[str]) -> list[str]:
    """Return what stands in Allow where these methods are served."""
    listed = {*methods, "OPTIONS"}
    return sorted(listed | {"HEAD"} if "GET" in listed else listed)


def check_media(route: Route, head: Head) -> None:
    """Refuse a body whose type the route does not take."""
    kind, *parameters = head.fields.get(b"content-type", b"").lower().split(b";")
    if kind.strip() not in route.media:
        accepted = ", ".join(sorted(media.decode() for media in route.media))
        raise UnsupportedMedia(f"Content-Type must be one of: {accepted}.")
    for parameter in parameters:
        name, _, value = parameter.strip().partition(b"=")
        if name == b"charset" and value not in _CHARSETS:
            raise UnsupportedMedia("Send text in UTF-8.")


def _area(path: bytes) -> bytes:
    second = path.find(b"/", 1)
    if second < 0:
        return path
    third = path.find(b"/", second + 1)
    return path if third < 0 else path[:third]


def _check(route: Route, services: Mapping[str, object], seen: set[str]) -> None:
    key = f"{route.path} {sorted(route.methods)}"
    if not route.path.startswith("/") or "{" in _area(route.path.encode()).decode():
        msg = f"route {route.path}: the first two segments must be literal"
        raise ValueError(msg)
    if key in seen or route.service not in services or not route.methods <= METHODS:
        msg = f"route {route.path}: listed twice, or its service or method is unknown"
        raise ValueError(msg)
    seen.add(key)


_READ = frozenset({"GET"})
_POST = frozenset({"POST"})

ROUTES: tuple[Route, ...] = (
    # What the gateway answers itself.
    Route("/", "gateway", _READ, "ignored", exact=True, page=True),
    Route("/api/openapi.json", "gateway", _READ, "ignored", exact=True, page=True),
    Route("/problems", "gateway", _READ, "ignored", page=True),
    Route("/api/auth/token", "gateway", _POST, "ignored", exact=True, body_cap_bytes=8 * _KIB),
    Route("/api/auth/login", "gateway", _POST, "ignored", exact=True, body_cap_bytes=8 * _KIB),
    Route("/api/auth/refresh", "gateway", _POST, "ignored", exact=True, body_cap_bytes=8 * _KIB),
    Route("/api/auth/password", "gateway", _POST, exact=True, body_cap_bytes=8 * _KIB),
    Route("/api/auth/logout", "gateway", _POST, "tried", exact=True, body_cap_bytes=8 * _KIB),
    Route("/api/me", "gateway", _READ, exact=True, enrolment=True),
    Route("/api/me/second-factor", "gateway", enrolment=True, body_cap_bytes=8 * _KIB),
    Route("/api/organisations", "gateway", body_cap_bytes=64 * _KIB),
    Route("/api/api-keys", "gateway", body_cap_bytes=64 * _KIB),
    Route("/api/audit", "gateway", _READ),
    # What the calculator tells everybody.
    Route("/api/calculator/miner-models", "calculator", _READ, "optional"),
    Route("/api/calculator/network", "calculator", _READ, "optional"),
    Route("/api/calculator/quotes", "calculator", _READ, "optional"),
    Route("/api/calculator/calculate", "calculator", _POST, "optional", body_cap_bytes=64 * _KIB),
    Route("/api/calculator/projection", "calculator", _POST, "optional", body_cap_bytes=256 * _KIB),
    Route("/api/calculator/shared", "calculator", _READ, "optional"),
    Route(
        "/api/calculator/batch/calculate",
        "calculator",
        _POST,
        exact=True,
        body_cap_bytes=16 * _MIB,
        media=TABLES,
        timeout_s=60,
    ),
    Route("/api/calculator", "calculator", stream=True),
    # The customer's own key reads one machine; the path is the document's.
    Route(
        "/api/hosting/api/telemetry/{miner_id}",
        "telemetry",
        _READ,
        scope="telemetry:api",
        only_api_keys=True,
        exact=True,
    ),
    Route(
        "/api/hosting/miners/import",
        "hosting",
        _POST,
        exact=True,
        body_cap_bytes=16 * _MIB,
        media=TABLES,
        timeout_s=120,
    ),
    Route("/api/hosting", "hosting", body_cap_bytes=2 * _MIB, timeout_s=60, stream=True),
    *(  # the document's own paths
        Route(
            f"/hosting/miner/{{miner_id}}/{action}",
            "hosting",
            _READ if action == "detail" else _POST,
            exact=True,
            rewrite=rf"/api/hosting/miners/\1/{action}",
        )
        for action in ("detail", "start", "shutdown", "reboot")
    ),
    Route("/api/telemetry", "telemetry", stream=True),
    Route("/api/intelligence", "intelligence", body_cap_bytes=8 * _MIB, timeout_s=60, stream=True),
    Route(
        "/api/analytics/candles/import",
        "intelligence",
        _POST,
        exact=True,
        body_cap_bytes=16 * _MIB,
        media=TABLES,
        timeout_s=60,
    ),
    Route("/api/analytics", "intelligence", body_cap_bytes=4 * _MIB, stream=True),
    Route(
        "/api/treasury/lots/import",
        "intelligence",
        _POST,
        exact=True,
        body_cap_bytes=16 * _MIB,
        media=TABLES,
        timeout_s=60,
    ),
    Route("/api/treasury", "intelligence", body_cap_bytes=4 * _MIB, timeout_s=60, stream=True),
    *(  # files go there
        Route(path, "energy", body_cap_bytes=16 * _MIB, media=TABLES, timeout_s=60)
        for path in ("/api/electricity/reconciliations", "/api/electricity/index-series")
    ),
    Route(  # the link at a letter's end, and what a mail program sends by itself (RFC 8058)
        "/api/electricity/messages/opt-out",
        "energy",
        frozenset({"GET", "POST"}),
        "ignored",
        exact=True,
        body_cap_bytes=8 * _KIB,
        media=FORM,
    ),
    Route("/api/electricity", "energy", body_cap_bytes=16 * _MIB, timeout_s=60, stream=True),
    Route("/api/wind", "energy", body_cap_bytes=1 * _MIB, timeout_s=60, stream=True),
)
