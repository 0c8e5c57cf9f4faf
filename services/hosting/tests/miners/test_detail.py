"""A machine's page, with a telemetry service that answers, refuses or talks nonsense."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from common.auth import HEADER, verify
from common.http import ServiceClient
from hosting.parties import telemetry_client

KEY = "test-internal-key-of-32-characters-or-more"
New = Callable[..., Awaitable[dict[str, Any]]]


class Telemetry:
    """The telemetry service as far as this page needs it."""

    def __init__(self) -> None:
        self.answer: Response = JSONResponse({"power_w": 3480.0, "outcome": "ok"})
        self.asked: list[tuple[str, str]] = []
        self.app = FastAPI()
        self.app.get("/api/telemetry/miners/{miner_id}")(self.latest)

    async def latest(self, miner_id: str, request: Request) -> Response:
        caller = verify(request.headers[HEADER], audience="telemetry", key=KEY)
        self.asked.append((miner_id, str(caller.organisation_id)))
        return self.answer


@pytest.fixture
def telemetry(app: FastAPI) -> Generator[Telemetry]:
    made = Telemetry()
    transport = httpx.ASGITransport(app=made.app)
    client = ServiceClient("http://telemetry", audience="telemetry", key=KEY, transport=transport)
    app.dependency_overrides[telemetry_client] = lambda: client
    yield made
    del app.dependency_overrides[telemetry_client]


async def test_the_latest_reading_is_asked_for_in_the_callers_name(
    client: httpx.AsyncClient, new_miner: New, telemetry: Telemetry, organisation: object
) -> None:
    miner = await new_miner()
    page = (await client.get(f"/api/hosting/miners/{miner['id']}/detail")).json()
    assert page["telemetry"] == {"power_w": 3480.0, "outcome": "ok"}
    assert page["telemetry_reason"] is None
    assert telemetry.asked == [(miner["id"], str(organisation))]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (JSONResponse({"detail": "No reading yet."}, 404), "No reading yet."),
        (JSONResponse({}, 404), "The telemetry service has no reading."),
        (JSONResponse({}, 500), "The telemetry service failed; try again."),
        (PlainTextResponse("<html>"), "The telemetry service gave an answer that cannot be read."),
    ],
    ids=["none-yet", "none", "failed", "nonsense"],
)
async def test_the_page_comes_whatever_telemetry_does(
    client: httpx.AsyncClient, new_miner: New, telemetry: Telemetry, answer: Response, reason: str
) -> None:
    miner = await new_miner()
    telemetry.answer = answer
    shown = await client.get(f"/api/hosting/miners/{miner['id']}/detail")
    assert shown.status_code == 200
    assert shown.json()["telemetry"] is None
    assert shown.json()["telemetry_reason"].lower() == reason.lower()


async def test_readings_need_their_own_permission(
    client_as: Callable[..., httpx.AsyncClient], new_miner: New, telemetry: Telemetry
) -> None:
    miner = await new_miner()
    reader = client_as(scopes=frozenset({"miners:read"}))
    page = (await reader.get(f"/api/hosting/miners/{miner['id']}/detail")).json()
    assert page["telemetry"] is None
    assert "telemetry:read" in page["telemetry_reason"]
    assert telemetry.asked == []
