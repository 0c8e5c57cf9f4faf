"""A site of one's own whose machines have a told past, and what that past costs by hand."""

import csv
import io
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import count
from zoneinfo import ZoneInfo

from tests.running import Json, System, eventually

from common.ids import new_id
from launcher.api import RefusedError
from launcher.processes import child_environment
from simulation.inventory import FleetSpec, inventory

OSLO = ZoneInfo("Europe/Oslo")
HALF_HOUR = timedelta(minutes=30)
NANO = Decimal("1e-9")
_WORKDAYS = [0, 1, 2, 3, 4]
TOU_RATE: Json = {
    "name": "Industrial time of use",
    "rate_type": "tou",
    "flat_rate_usd_per_kwh": "0.0520",
    "tou_schedule": [
        {"name": "Night", "rate": "0.0380", "start": "22:00", "end": "06:00"},
        {"name": "Peak", "rate": "0.0910", "days": _WORKDAYS, "start": "17:00", "end": "20:00"},
    ],
    "daily_service_charge_usd": "12.00",
    "demand_charge_usd_per_kw": "1.80",
    "demand_interval_minutes": 30,
    "active": True,
}  # fmt: skip
Owner = str | None
"""A client, or the operator itself."""
Price = Callable[[datetime], Decimal]
_numbers = count(1)


def tou_price(at: datetime) -> Decimal:
    """Return what a kWh costs by `TOU_RATE`, read off its text."""
    local = at.astimezone(OSLO)
    if local.hour >= 22 or local.hour < 6:
        return Decimal("0.0380")
    if local.weekday() < 5 and 17 <= local.hour < 20:
        return Decimal("0.0910")
    return Decimal("0.0520")


@dataclass(frozen=True, slots=True)
class Row:
    """A machine's half-hour as telemetry shows it."""

    starts_at: datetime
    miner_id: str
    client_id: Owner
    kwh: Decimal | None

    @property
    def day(self) -> date:
        return self.starts_at.astimezone(OSLO).date()


def energy(rows: Iterable[Row]) -> Decimal:
    """Return the known energy."""
    return sum((row.kwh for row in rows if row.kwh is not None), Decimal(0))


def cost(rows: Iterable[Row], price: Price = tou_price) -> Decimal:
    """Return what the energy of some rows costs: no boundary of a price cuts a half-hour."""
    return sum((row.kwh * price(row.starts_at) for row in rows if row.kwh is not None), Decimal(0))


class MeteredSite:
    """A site whose machines nobody polls: all that is known of them is what a test tells."""

    def __init__(self, system: System, *, machines: int, clients: Sequence[int] = ()) -> None:
        """Make it; `clients` are the places of the machines that are the demo client's."""
        self.system = system
        number = next(_numbers)
        self._fleet = [
            *("--miners", str(machines)),
            *("--seed", str(100 + number)),
            *("--start", f"127.127.{number}.1"),
        ]
        self.location = f"Hall {new_id()}"
        site = {
            "name": f"Metered {new_id()}",
            "location": self.location,
            "timezone": str(OSLO),
            "capacity_mw": 1,
            "allowed_cidrs": ["127.64.0.0/10"],
        }
        self.id: str = system.api().post("/api/hosting/sites", site)["id"]
        self.client_id: str = system.api("client").get("/api/me")["client_id"]
        spec = FleetSpec(miners=machines, start=f"127.127.{number}.1", seed=100 + number)
        self._import(spec, clients)

    def _import(self, spec: FleetSpec, clients: Sequence[int]) -> None:
        text = io.StringIO()
        writer = csv.writer(text)
        names = ("serial_number", "model", "cgminer_ip", "cgminer_port", "firmware")
        writer.writerow([*names, "client_id"])
        client_id = self.client_id if clients else ""
        for place, one in enumerate(inventory(spec)):
            owner = client_id if place in clients else ""
            writer.writerow([*(one[name] for name in names), owner])
        report = self.system.api().call(
            "POST",
            "/api/hosting/miners/import",
            params={"site_id": self.id},
            content=text.getvalue(),
            headers={"Content-Type": "text/csv"},
        )
        assert report["errors_total"] == 0, report
        self.miners = self.system.miners(site_id=self.id)
        assert len(self.miners) == spec.miners

    def close(self) -> None:
        """Take machines and rates out again: other tests count what there is."""
        owner = self.system.api()
        for miner in self.miners:
            owner.call("DELETE", f"/api/hosting/miners/{miner['id']}")
        for rate in owner.get("/api/electricity/rates", site_id=self.id)["rates"]:
            owner.call("DELETE", f"/api/electricity/rates/{rate['id']}")

    def rate(self, **changed: object) -> Json:
        """Store a rate of this site, in force for longer than anything was told."""

        def stored() -> Json | None:
            try:
                answer = self.system.api().post("/api/electricity/rates", order)
            except RefusedError as refusal:
                if refusal.code != "site_unknown":  # the site's event is on its way
                    raise
                return None
            return answer["rate"]

        since = (datetime.now(UTC) - timedelta(days=60)).isoformat()
        order = {**TOU_RATE, "site_id": self.id, "valid_from": since, **changed}
        return eventually(stored, "energy knows the site")

    # The told past

    @contextmanager
    def telling(self, days: int) -> Generator[subprocess.Popen[bytes]]:
        """Let the simulated world tell the past while the block runs; wait for its end."""
        demo = self.system.stack.demo
        owner = demo["users"]["owner"]
        command = [
            *(sys.executable, "-m", "simulation", "history", "--days", str(days), *self._fleet),
            *("--gateway", demo["gateway_url"], "--email", owner["email"], "--site", self.id),
        ]
        environment = child_environment({"HASHYARD_PASSWORD": owner["password"]})
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as telling:
            try:
                yield telling
                output, _ = telling.communicate(timeout=300)
                assert telling.returncode == 0, output.decode()
            finally:
                telling.kill()

    def tell(self, days: int) -> None:
        """Let the simulated world tell the past days."""
        with self.telling(days):
            pass

    def rows(self) -> list[Row]:
        """Return what telemetry shows of this site, all of it."""
        found: list[Row] = []
        until = datetime.now(UTC)
        asked = {
            "site_id": self.id,
            "from": (until - timedelta(days=40)).isoformat(),
            "to": until.isoformat(),
            "page_size": 200,
        }
        cursor: str | None = ""
        while cursor is not None:
            more = {"cursor": cursor} if cursor else {}
            page = self.system.api().get("/api/telemetry/half-hours", **asked, **more)
            found += [_row(one) for one in page["items"]]
            cursor = page["next_cursor"]
        return found

    # What energy has made of it

    def recorded(self) -> int:
        """Count the half-hours that are recorded."""
        query = "SELECT count(*) FROM energy.electricity_costs WHERE site_id = $1::uuid"
        return self.system.sql(query, self.id)[0][0]

    def all_recorded(self, rows: Iterable[Row], *, version: int = 1) -> None:
        """Wait until each half-hour is recorded, by this version of the rate, and nothing is due.

        Which of a version is to be waited for says whoever changed the rate: the energy must be
        right from the first moment, but the price of a changed rate comes a moment later.
        """
        told = {row.starts_at for row in rows}

        def is_so() -> bool:
            found = self.system.sql(
                "SELECT count(*) FILTER (WHERE rate_version = $2) FROM energy.electricity_costs "
                "WHERE site_id = $1::uuid",
                self.id,
                version,
            )
            due = self.system.sql(
                "SELECT 1 FROM energy.rating_due WHERE site_id = $1::uuid", self.id
            )
            return found[0][0] >= len(told) and not due

        eventually(is_so, f"{len(told)} half-hours are recorded")

    def costs(self, person: str = "owner", **asked: object) -> list[Json]:
        """Return the records of costs as somebody sees them, oldest first."""
        first = (datetime.now(UTC) - timedelta(days=40)).isoformat()
        wanted = {"site_id": self.id, "start_date": first, "limit": 1000, **asked}
        found: list[Json] = []
        for page in count(1):
            answer = self.system.api(person).get("/api/electricity/costs", **wanted, page=page)
            found += answer["costs"]
            if page >= answer["pages"]:
                break
        return sorted(found, key=lambda one: one["period_start"])

    def summary(self, person: str = "owner", **asked: object) -> Json:
        """Return the summary as somebody sees it."""
        wanted = {"site_id": self.id, **asked}
        return self.system.api(person).get("/api/electricity/costs/summary", **wanted)

    def agrees(self, rows: Sequence[Row], price: Price = tou_price) -> None:
        """Every half-hour is recorded once, with its energy and its cost by hand."""
        by_start: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_start[row.starts_at.isoformat()].append(row)
        wanted = {
            start: (energy(of_it), cost(of_it, price).quantize(NANO, ROUND_HALF_UP))
            for start, of_it in by_start.items()
        }
        found = self.system.sql(
            "SELECT period_start, total_kwh, energy_cost_usd FROM energy.electricity_costs "
            "WHERE site_id = $1::uuid",
            self.id,
        )
        assert len(found) == len(wanted)
        assert {
            row["period_start"].isoformat(): (row["total_kwh"], row["energy_cost_usd"])
            for row in found
        } == wanted

    def published(self) -> Mapping[tuple[date, Owner], Json]:
        """Return the newest word on the broker about each day and owner of this site."""
        newest: dict[tuple[date, Owner], Json] = {}
        for record in self.system.records("energy.cost.v1"):
            told = record.data
            if record.type == "energy.cost.rated.v1" and told["site_id"] == self.id:
                key = date.fromisoformat(told["day"]), told["client_id"]
                if key not in newest or newest[key]["revision"] < told["revision"]:
                    newest[key] = told
        return newest

    def published_agrees(self, rows: Sequence[Row], price: Price = tou_price) -> None:
        """The broker says of each day and owner what is worked out by hand."""
        by_day: defaultdict[tuple[date, Owner], list[Row]] = defaultdict(list)
        for row in rows:
            by_day[row.day, row.client_id].append(row)
        wanted = {
            key: (energy(of_it), round(cost(of_it, price), 6)) for key, of_it in by_day.items()
        }

        def said() -> dict[tuple[date, Owner], tuple[Decimal, Decimal]]:
            return {
                key: (Decimal(one["kwh"]), round(Decimal(one["energy_cost"]), 6))
                for key, one in self.published().items()
            }

        def is_so() -> bool:
            found = said()
            return found.keys() == wanted.keys() and all(
                found[key][0] == kwh and abs(found[key][1] - amount) <= _CENT / 100
                for key, (kwh, amount) in wanted.items()
            )

        try:
            eventually(is_so, "the broker tells the costs", within_s=30)
        except AssertionError:
            assert said() == wanted  # shows where they differ
            raise


_CENT = Decimal("0.01")


def _row(told: Json) -> Row:
    kwh = None if told["kwh"] is None else Decimal(str(told["kwh"]))
    at = datetime.fromisoformat(told["starts_at"])
    return Row(at.astimezone(UTC), told["miner_id"], told["client_id"], kwh)
