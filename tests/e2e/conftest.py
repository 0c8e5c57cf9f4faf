"""The system that the end-to-end tests share. Each test leaves the fleet as it found it."""

from dataclasses import dataclass

import pytest
from tests.running import PATIENCE_S, Json, System, Systems, eventually

from common.ids import new_id


@dataclass(frozen=True, slots=True)
class TimedPlan:
    """A plan of one minute at a site of its own, and the machines of that site."""

    plan: Json
    addresses: frozenset[str]


@pytest.fixture(scope="session")
def timed_plan(systems: Systems) -> TimedPlan:
    """Order it before the first test, so that its minute passes while others run."""
    system = systems.use("e2e")
    system.fleet_hashes()
    owner = system.api()
    site = owner.post(
        "/api/hosting/sites",
        {
            "name": f"One minute {new_id()}",
            "location": "Hordaland, Norway (simulated)",
            "timezone": "Europe/Oslo",
            "capacity_mw": 1,
            "allowed_cidrs": ["127.64.0.0/10"],
        },
    )
    # LuxOS wants no credentials, which belong to a site.
    moved = [one for one in system.miners() if one["firmware"] == "luxos"][:4]
    for miner in moved:
        owner.call("PATCH", f"/api/hosting/miners/{miner['id']}", json=_to(site["id"]))

    def are_read() -> bool:
        columns = owner.get("/api/telemetry/fleet", site_id=site["id"])["columns"]
        return len(columns["miner_id"]) == len(moved) and all(columns["power_w"])

    eventually(are_read, "the moved machines are read at their new site")
    plan = system.order(0.005, site_id=site["id"], duration_minutes=1)
    return TimedPlan(plan, frozenset(one["cgminer_ip"] for one in moved))


def _to(site_id: str) -> Json:
    return {"site_id": site_id, "rack_id": None, "position": None}


@pytest.fixture(scope="module")
def system(systems: Systems, timed_plan: TimedPlan) -> System:
    """A running system, all machines of the demo's site polled and hashing."""
    made = systems.use("e2e")
    made.fleet_hashes()
    return made


@pytest.fixture(scope="session")
def beyond_the_minute() -> float:
    """How long to wait for what happens after the timed plan's minute."""
    return 60 + PATIENCE_S
