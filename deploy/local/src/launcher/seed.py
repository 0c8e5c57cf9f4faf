"""The demo's content: made through the public API, as any client would make it.

What is done is remembered step by step, so that an interrupted start goes on where it was.
"""

import csv
import io
import json
import subprocess
import time
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from launcher.api import Api, RefusedError
from launcher.installation import DATABASE, PEOPLE, READER, Installation, email, write_private
from launcher.programs import fleet_command

_OPERATOR = "Fjordheim Hosting"
_CLIENT = "Aurora Mining"
_WATTS_PER_MACHINE = 4_000
_CLIENTS_SHARE = 3  # every third machine is the client's
_RACK_ROWS, _RACK_POSITIONS = 6, 10  # the simulated world puts 60 machines into a rack
_KNOWN_WITHIN_S = 60.0
_A_TRUE_QUOTE = {
    "price_usd": "102412.41",
    "difficulty": "108105433845147",
    "at": "2025-02-01T00:00:00Z",
    "note": "Daily close and difficulty of 2025-01-31: no source of quotes can be reached.",
}


class DemoNotSeededError(Exception):
    """The demo's content could not be made."""


def seed(installation: Installation) -> None:
    """Make what is missing and write `demo.json`."""
    done = _read(installation.directory)
    secrets = installation.secrets()
    try:
        with _api(installation, "admin") as admin:
            _quote(admin)
            if done.get("miners") == installation.fleet and _demo_file(installation).exists():
                return
            _organisations(admin, done, secrets)
            _remember(installation, done)
        with _api(installation, "owner") as owner:
            _site(owner, done, installation)
            _remember(installation, done)
            _miners(owner, done, installation)
            _remember(installation, done)
            _api_key(owner, done)
            _remember(installation, done)
    except (RefusedError, httpx.HTTPError) as error:
        raise DemoNotSeededError(f"The demo could not be set up. {error}") from error
    write_private(_demo_file(installation), _demo(installation, done))


def _demo_file(installation: Installation) -> Path:
    return installation.directory / "demo.json"


def registered(directory: Path) -> int:
    """Return how many machines an installation has registered."""
    return int(_read(directory).get("miners", 0))


def _api(installation: Installation, person: str) -> Api:
    password = installation.secrets()[f"{person}_password"]
    return Api(installation.gateway_url, email(person), password)


def _organisations(admin: Api, done: dict[str, Any], secrets: dict[str, str]) -> None:
    """An operator, its client, and a login for each role."""
    operator = _organisation(admin, _OPERATOR, kind="operator")
    client = _organisation(admin, _CLIENT, kind="client", parent_id=operator)
    done |= {"organisation_id": operator, "client_id": client}
    for person, home in {"owner": operator, "host": operator, "client": client}.items():
        member = {
            "email": email(person),
            "role": person.capitalize(),
            "password": secrets[f"{person}_password"],
        }
        try:
            admin.post(f"/api/organisations/{home}/users", member)
        except RefusedError as refusal:
            if refusal.status != HTTPStatus.CONFLICT:  # there already: an earlier, broken start
                raise


def _quote(admin: Api) -> None:
    """Where no source of quotes answers, record a true one by hand; it is shown with its age."""
    try:
        admin.get("/api/calculator/network")
    except RefusedError as refusal:
        if refusal.status != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        admin.post("/api/calculator/quotes", _A_TRUE_QUOTE)


def _organisation(admin: Api, name: str, **order: str) -> str:
    present = admin.get("/api/organisations", page_size=200)["items"]
    found = next((one["id"] for one in present if one["name"] == name), None)
    return found or admin.post("/api/organisations", {"name": name, **order})["id"]


def _site(owner: Api, done: dict[str, Any], installation: Installation) -> None:
    """One site, and the password with which commands reach its WhatsMiners."""
    capacity_mw = max(1.0, installation.fleet * _WATTS_PER_MACHINE / 1e6)
    present = owner.get("/api/hosting/sites", page_size=200)["items"]
    if present:
        done["site_id"] = present[0]["id"]
        if present[0]["capacity_mw"] < capacity_mw:
            owner.call(
                "PATCH", f"/api/hosting/sites/{done['site_id']}", json={"capacity_mw": capacity_mw}
            )
    else:
        site = {
            "name": "Fjordheim",
            "location": "Hordaland, Norway (simulated)",
            "timezone": "Europe/Oslo",
            "capacity_mw": capacity_mw,
            "allowed_cidrs": ["127.64.0.0/10"],
        }
        done["site_id"] = owner.post("/api/hosting/sites", site)["id"]
    owner.call(
        "PUT",
        f"/api/hosting/sites/{done['site_id']}/credentials/whatsminer",
        json={"password": "simulated"},
    )


def _miners(owner: Api, done: dict[str, Any], installation: Installation) -> None:
    """Import the machines that are not registered yet, approved."""
    rows = inventory(installation)[int(done.get("miners", 0)) :]
    if not rows:
        return
    _racks(owner, done, {row["rack"] for row in rows})
    sheet = _sheet(rows, client_id=done["client_id"])
    deadline = time.monotonic() + _KNOWN_WITHIN_S
    # Models and the client reach hosting as events, a moment after they were made.
    while (report := _import(owner, done, sheet, dry_run=True))["errors_total"]:
        if time.monotonic() > deadline:
            first = report["errors"][0]
            raise DemoNotSeededError(f"Row {first['row']} of the fleet's sheet: {first['detail']}")
        time.sleep(0.5)
    _until_imported(owner, _import(owner, done, sheet, dry_run=False))
    done["miners"] = installation.fleet


def _until_imported(owner: Api, answer: dict[str, Any]) -> None:
    """Wait for the job that a large fleet's sheet becomes."""
    while "job_id" in answer:
        job = owner.get(f"/api/hosting/jobs/{answer['job_id']}")
        result: dict[str, Any] = job["result"] or {}
        if job["state"] == "failed" or result.get("refused"):
            raise DemoNotSeededError(f"The fleet was not imported: {job['error'] or result}")
        if job["state"] == "done":
            return
        time.sleep(0.5)


def _import(owner: Api, done: dict[str, Any], sheet: str, *, dry_run: bool) -> dict[str, Any]:
    options = {"site_id": done["site_id"], "approve": "true", "dry_run": str(dry_run).lower()}
    return owner.call(
        "POST",
        "/api/hosting/miners/import",
        params=options,
        content=sheet,
        headers={"Content-Type": "text/csv"},
    )


def _sheet(rows: list[dict[str, str]], *, client_id: str) -> str:
    """Write the fleet as CSV; every third machine is the client's."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0], "client_id"])
    writer.writeheader()
    for place, row in enumerate(rows):
        is_clients = place % _CLIENTS_SHARE == 1
        writer.writerow({**row, "client_id": client_id if is_clients else ""})
    return text.getvalue()


def _racks(owner: Api, done: dict[str, Any], names: set[str]) -> None:
    for name in sorted(names):
        rack = {"name": name, "rows": _RACK_ROWS, "positions": _RACK_POSITIONS}
        try:
            owner.post(f"/api/hosting/sites/{done['site_id']}/racks", rack)
        except RefusedError as refusal:
            if refusal.status != HTTPStatus.CONFLICT:  # there already
                raise


def inventory(installation: Installation) -> list[dict[str, str]]:
    """Ask the simulated world for the sheet that its site would import."""
    done = subprocess.run(
        fleet_command(installation, "inventory"), check=True, capture_output=True, text=True
    )
    return list(csv.DictReader(io.StringIO(done.stdout)))


def _api_key(owner: Api, done: dict[str, Any]) -> None:
    if "telemetry_key" not in done:
        order = {"name": "Demo telemetry", "scopes": ["telemetry:api"]}
        done["telemetry_key"] = owner.post("/api/api-keys", order)["key"]


def _demo(installation: Installation, done: dict[str, Any]) -> dict[str, Any]:
    secrets = installation.secrets()
    servers = installation.infrastructure
    return {
        "gateway_url": installation.gateway_url,
        "users": {
            person: {"email": email(person), "password": secrets[f"{person}_password"]}
            for person in PEOPLE
        },
        "api_keys": {"telemetry": done["telemetry_key"]},
        "organisation_id": done["organisation_id"],
        "site_id": done["site_id"],
        "kafka_bootstrap": servers.kafka.bootstrap,
        "postgres_dsn": servers.postgres.dsn_of(READER, secrets[f"{READER}_password"], DATABASE),
        "redis_url": servers.redis.url,
    }


def _read(directory: Path) -> dict[str, Any]:
    path = directory / "seed.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _remember(installation: Installation, done: dict[str, Any]) -> None:
    write_private(installation.directory / "seed.json", done)
