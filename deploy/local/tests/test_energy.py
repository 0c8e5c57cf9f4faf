"""The demo's week of wind is there when all of it is, and what is missing is ordered again."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from launcher.api import Api
from launcher.energy import order_wind, wait_for_wind
from launcher.seed import DemoNotSeededError

FIRST = date(2025, 3, 3)
WEEK = [(FIRST + timedelta(days=n)).isoformat() for n in range(7)]


class Wind:
    """A gateway that knows a week of wind: each day's status, and what a job makes of it."""

    def __init__(self, *, whole: list[str], after: list[str], under_way: bool = False) -> None:
        self.whole = whole
        self.after = after
        self.under_way = under_way
        self.orders: list[dict[str, Any]] = []
        self.asked = 0

    def answer(self, path: str, query: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/api/auth/token":
            return 200, {"access_token": "t"}
        if path == "/api/wind/days":
            self.asked += 1
            if self.under_way and self.asked > 1:
                self.whole = self.after
            assert query == f"from={WEEK[0]}&to={WEEK[-1]}"
            return 200, {"items": [self._day(day) for day in WEEK if day in self.whole]}
        if path == "/api/wind/ingest" and self.under_way:
            return 409, {"title": "The same is being done", "code": "already_ordered"}
        if path == "/api/wind/ingest":
            self.orders.append(body)
            return 202, {"job_id": "7"}
        self.whole = self.after  # the job is asked for, and has ended
        return 200, {"state": "done", "step": "incomplete", "error": None}

    def _day(self, day: str) -> dict[str, Any]:
        return {"settlement_date": day, "status": "complete", "bitcoin_status": "complete"}


@contextmanager
def owner_of(wind: Wind) -> Generator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            self._answer(json.loads(self.rfile.read(length)))

        def _answer(self, body: dict[str, Any]) -> None:
            asked = urlsplit(self.path)
            status, document = wind.answer(asked.path, asked.query, body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (theirs)
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with Api(f"http://127.0.0.1:{server.server_port}", "owner@example.test", "x") as owner:
            yield owner
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_whole_week_is_not_ordered_again() -> None:
    wind = Wind(whole=WEEK, after=WEEK)
    with owner_of(wind) as owner:
        job = order_wind(owner, FIRST)
        wait_for_wind(owner, FIRST, job)
    assert wind.orders == []


@pytest.mark.parametrize("whole", [[], WEEK[:1], WEEK[:6], WEEK[1:]])
def test_an_interrupted_week_is_completed(whole: list[str]) -> None:
    wind = Wind(whole=whole, after=WEEK)
    with owner_of(wind) as owner:
        job = order_wind(owner, FIRST)
        wait_for_wind(owner, FIRST, job)
    assert wind.orders == [{"from": WEEK[0], "to": WEEK[-1], "missing_only": True}]


def test_a_week_that_is_under_way_is_waited_for() -> None:
    wind = Wind(whole=WEEK[:2], after=WEEK, under_way=True)
    with owner_of(wind) as owner:
        job = order_wind(owner, FIRST)
        assert job is None
        wait_for_wind(owner, FIRST, job)
    assert wind.whole == WEEK


def test_a_job_that_is_done_and_incomplete_has_not_seeded_it() -> None:
    wind = Wind(whole=[], after=WEEK[:5])
    with owner_of(wind) as owner:
        job = order_wind(owner, FIRST)
        with pytest.raises(DemoNotSeededError, match="2025-03-08, 2025-03-09 was not ingested"):
            wait_for_wind(owner, FIRST, job)
