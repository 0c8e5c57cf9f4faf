"""The demo's energy: a tariff in force, a month of recorded costs, a week of curtailed wind."""

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from launcher.api import Api, RefusedError
from launcher.installation import Installation, email
from launcher.processes import child_environment
from launcher.programs import fleet_command
from launcher.seed import DemoNotSeededError

_HISTORY_DAYS = 31
_WIND_DAYS = 7
_WITHIN_S = 300.0
_A_SIMULATED_WEEK = date(2025, 3, 3)
"""One that lies within epochs that have ended, so that their difficulty is known."""
_LONDON = ZoneInfo("Europe/London")


def seed_energy(installation: Installation) -> None:
    """Make what is missing of it; waits until the costs and the wind's summaries are there."""
    password = installation.secrets()["owner_password"]
    try:
        with Api(installation.gateway_url, email("owner"), password) as owner:
            site_id = owner.get("/api/hosting/sites")["items"][0]["id"]
            _tariff(owner, site_id)
            if not owner.get("/api/electricity/costs", limit=1)["costs"]:
                _history(installation, site_id, password)
            first = _first_day(installation)
            if not installation.live_market:
                _epochs(installation)
            job = order_wind(owner, first)
            _until_costs(owner)
            wait_for_wind(owner, first, job)
    except (RefusedError, httpx.HTTPError, subprocess.CalledProcessError) as error:
        raise DemoNotSeededError(f"The demo's energy could not be set up. {error}") from error


def _tariff(owner: Api, site_id: str) -> None:
    """A time-of-use tariff with the charges that a real bill has, in force at the site."""
    if owner.get("/api/electricity/rates", active_only=True)["count"]:
        return
    everyday, workdays = list(range(7)), list(range(5))
    rate: dict[str, Any] = {
        "name": "Industrial time of use",
        "description": "A made-up tariff of the simulated site.",
        "site_id": site_id,
        "rate_type": "tou",
        "flat_rate_usd_per_kwh": "0.0520",
        "tou_schedule": [
            {"name": "Night", "rate": "0.0380", "days": everyday, "start": "22:00", "end": "06:00"},
            {"name": "Peak", "rate": "0.0910", "days": workdays, "start": "17:00", "end": "20:00"},
        ],
        "daily_service_charge_usd": "12.00",
        "demand_charge_usd_per_kw": "1.80",
        "demand_interval_minutes": 30,
        "taxes": [{"name": "Energy tax", "percent": "2.5"}],
        "utility_name": "Fjord Kraft (simulated)",
        "active": True,
        "valid_from": (datetime.now(UTC) - timedelta(days=2 * _HISTORY_DAYS)).isoformat(),
    }
    owner.post("/api/electricity/rates", rate)


def _history(installation: Installation, site_id: str, password: str) -> None:
    """Let the simulated world tell its past through telemetry's own closing."""
    command = [
        *(sys.executable, "-m", "simulation", "history", "--days", str(_HISTORY_DAYS)),
        *fleet_command(installation, "history")[4:],
        *("--gateway", installation.gateway_url, "--email", email("owner"), "--site", site_id),
    ]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        env=child_environment({"HASHYARD_PASSWORD": password}),
    )


def _epochs(installation: Installation) -> None:
    """Record the simulated chain's difficulties, as such: there is no provider of true ones."""
    market = installation.url("market")
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        told = client.get(f"{market}/mempool/api/v1/mining/difficulty-adjustments/3y")
        told.raise_for_status()
        epochs = [
            {
                "height": height,
                "started_at": datetime.fromtimestamp(time_s, UTC).isoformat(),
                "difficulty": difficulty,
            }
            for time_s, height, difficulty, *_ in told.json()
        ]
    password = installation.secrets()["admin_password"]
    with Api(installation.gateway_url, email("admin"), password) as admin:
        order = {"epochs": epochs, "simulated": True, "note": "The simulated chain"}
        admin.post("/api/calculator/network/epochs", order)


def _first_day(installation: Installation) -> date:
    if not installation.live_market:
        return _A_SIMULATED_WEEK
    # The last periods of yesterday may not be published yet.
    return datetime.now(UTC).astimezone(_LONDON).date() - timedelta(days=_WIND_DAYS + 1)


def order_wind(owner: Api, first: date) -> str | None:
    """Order what is missing of a week of wind; return the job, None where it is under way."""
    last = first + timedelta(days=_WIND_DAYS - 1)
    if not _missing_days(owner, first):
        return None
    order = {"from": first.isoformat(), "to": last.isoformat(), "missing_only": True}
    try:
        return owner.post("/api/wind/ingest", order)["job_id"]
    except RefusedError as refusal:
        if refusal.status != HTTPStatus.CONFLICT:
            raise
        return None


def wait_for_wind(owner: Api, first: date, job: str | None) -> None:
    """Wait until every day of the week is complete, whoever completes it.

    Raises:
        DemoNotSeededError: the job has ended and a day is not, or it takes too long.
    """
    deadline = time.monotonic() + _WITHIN_S
    # The job is looked at first: what it did before it ended is seen then.
    state = _job_state(owner, job)
    while missing := _missing_days(owner, first):
        if state["state"] in ("done", "failed") or time.monotonic() > deadline:
            days = ", ".join(map(str, missing))
            raise DemoNotSeededError(
                f"The wind of {days} was not ingested: {state['error'] or state['step']}"
            )
        time.sleep(0.5)
        state = _job_state(owner, job)


def _missing_days(owner: Api, first: date) -> list[date]:
    """Return the days of the week of which a period, or its bitcoin, is missing."""
    days = [first + timedelta(days=n) for n in range(_WIND_DAYS)]
    span = {"from": days[0].isoformat(), "to": days[-1].isoformat()}
    told = owner.get("/api/wind/days", **span)["items"]
    whole = {
        one["settlement_date"]
        for one in told
        if one["status"] == one["bitcoin_status"] == "complete"
    }
    return [day for day in days if day.isoformat() not in whole]


def _job_state(owner: Api, job: str | None) -> dict[str, Any]:
    if job is None:
        return {"state": "running", "step": "under way", "error": None}
    return owner.get(f"/api/wind/jobs/{job}")


def _until_costs(owner: Api) -> None:
    """Wait until what has been told is rated: costs of almost the whole month."""
    deadline = time.monotonic() + _WITHIN_S
    oldest = datetime.now(UTC) - timedelta(days=_HISTORY_DAYS - 1)
    while time.monotonic() < deadline:
        first_day = {
            "start_date": oldest.isoformat(),
            "end_date": (oldest + timedelta(hours=2)).isoformat(),
        }
        if owner.get("/api/electricity/costs/summary", **first_day)["num_records"]:
            return
        time.sleep(0.5)
    raise DemoNotSeededError("The month's costs were not recorded in time.")
