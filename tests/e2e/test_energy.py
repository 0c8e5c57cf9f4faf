"""Document 003 on the running system: rates, recorded costs, letters and webhooks."""

import email
import email.policy
import json
import subprocess
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.metering import OSLO, MeteredSite, Row, cost, energy, tou_price
from tests.running import Json, System, eventually

from common.ids import new_id
from common.webhooks import BadSignature, verify
from launcher.api import RefusedError
from launcher.processes import child_environment
from launcher.programs import service_program

pytestmark = [pytest.mark.e2e, pytest.mark.kafka]
_RATES = "/api/electricity/rates"
_MICRO = Decimal("0.000001")
_CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def metered(system: System) -> Generator[MeteredSite]:
    """Six machines, two of them a client's, with two days of history under a rate."""
    site = MeteredSite(system, machines=6, clients=(1, 4))
    try:
        site.rate()
        site.tell(2)
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def told(metered: MeteredSite) -> list[Row]:
    """What telemetry shows of it, recorded by energy."""
    rows = metered.rows()
    assert len({row.starts_at for row in rows}) >= 95
    metered.all_recorded(rows)
    return rows


# Costs are recorded


def test_every_half_hour_costs_its_energy_at_the_price_of_its_time(
    metered: MeteredSite, told: list[Row]
) -> None:
    metered.agrees(told)
    shown = metered.costs()
    by_start = Counter(one["period_start"] for one in shown)
    assert set(by_start.values()) == {1}
    assert {datetime.fromisoformat(start) for start in by_start} == {row.starts_at for row in told}
    for one in shown:
        start = datetime.fromisoformat(one["period_start"])
        rows = [row for row in told if row.starts_at == start]
        assert (one["miner_id"], one["miner_ip"], one["client_id"]) == (None, None, None)
        assert Decimal(one["total_kwh"]) == energy(rows)
        assert Decimal(one["avg_rate_usd_per_kwh"]) == tou_price(start)
        assert abs(Decimal(one["energy_cost_usd"]) - cost(rows)) <= _MICRO
        assert one["unknown_machines"] == sum(row.kwh is None for row in rows)
        assert one["simulated"]
    # What telemetry shows is what it told the broker: the ledger of both is one.
    told_events = [
        record
        for record in metered.system.records("telemetry.half-hour.v1")
        if record.key == metered.id
    ]
    assert {record.data["starts_at"] for record in told_events} >= set(by_start)


def test_a_summary_is_the_sum_by_hand(metered: MeteredSite, told: list[Row]) -> None:
    """A whole local day with its service charge; then all that there is, with the demand."""
    yesterday = (datetime.now(OSLO) - timedelta(days=1)).date()
    rows = [row for row in told if row.day == yesterday]
    day = metered.summary(start_date=str(yesterday), end_date=str(yesterday))
    assert day["num_records"] == len(_starts(rows)) >= 46  # 50 when the clocks go back
    assert Decimal(day["total_kwh"]) == energy(rows)
    assert _cents(day["energy_cost_usd"]) == _cents(cost(rows))
    assert Decimal(day["service_charge_usd"]) == 12
    periods = {name: Decimal(amount) for name, amount in day["tou_breakdown_usd"].items()}
    assert sum(periods.values()) == pytest.approx(cost(rows), abs=_MICRO * 10)
    night = [row for row in rows if tou_price(row.starts_at) == Decimal("0.0380")]
    assert periods["Night"] == pytest.approx(cost(night), abs=_MICRO * 10)

    everything = metered.summary(start_date=str(yesterday.replace(day=1) - timedelta(days=31)))
    parts = (f"{name}_usd" for name in _PARTS)
    assert Decimal(everything["total_kwh"]) == energy(told)
    assert _cents(everything["energy_cost_usd"]) == _cents(cost(told))
    assert abs(Decimal(everything["demand_charge_usd"]) - _demand(told)) <= _MICRO
    assert Decimal(everything["total_cost_usd"]) == pytest.approx(
        sum(Decimal(everything[part]) for part in parts), abs=_MICRO * 5
    )
    assert everything["estimate_basis"] == "recorded"
    assert everything["fixed_charges"] == "included"


_PARTS = ("energy_cost", "service_charge", "demand_charge", "other_charges", "taxes")


def _demand(rows: list[Row]) -> Decimal:
    """Return what the peaks of the months cost: 1.80 for each kW of a half-hour's mean."""
    loads: dict[tuple[int, int], dict[datetime, Decimal]] = {}
    for row in rows:
        month = loads.setdefault((row.day.year, row.day.month), {})
        month[row.starts_at] = month.get(row.starts_at, Decimal(0)) + (row.kwh or 0)
    return sum((2 * max(month.values()) * Decimal("1.80") for month in loads.values()), Decimal(0))


def _cents(amount: str | Decimal) -> Decimal:
    return Decimal(amount).quantize(_CENT)


def test_a_client_sees_what_its_own_machines_cost(metered: MeteredSite, told: list[Row]) -> None:
    own = [row for row in told if row.client_id == metered.client_id]
    assert len({row.miner_id for row in own}) == 2
    summary = metered.summary("client")
    assert Decimal(summary["total_kwh"]) == energy(own)
    assert abs(Decimal(summary["energy_cost_usd"]) - cost(own)) <= _MICRO * 100
    for name in _PARTS[1:]:
        assert Decimal(summary[f"{name}_usd"]) == 0  # a site's charges are the operator's
    records = metered.costs("client")
    assert sum(Decimal(one["total_kwh"]) for one in records) == energy(own)
    assert {one["client_id"] for one in records} == {metered.client_id}
    assert {one["machines"] for one in records} == {2}

    for miner in metered.miners:
        wanted = [row for row in own if row.miner_id == miner["id"]]
        seen = metered.summary("client", miner_id=miner["id"])
        assert Decimal(seen["total_kwh"]) == energy(wanted)
    client = metered.system.api("client")
    for refused in (_RATES, f"/api/electricity/current-rate?site_id={metered.id}"):
        with pytest.raises(RefusedError) as error:
            client.get(refused)
        assert (error.value.status, error.value.code) == (403, "forbidden")


def test_the_broker_tells_what_is_recorded(metered: MeteredSite, told: list[Row]) -> None:
    metered.published_agrees(told)
    organisation = metered.system.stack.demo["organisation_id"]
    kept = metered.system.sql(
        "SELECT day, client_id::text, kwh, energy_cost, revision, rate_version "
        "FROM energy.cost_day WHERE site_id = $1::uuid",
        metered.id,
    )
    published = metered.published()
    assert len(kept) == len(published)
    for row in kept:
        event = published[row["day"], row["client_id"]]
        assert event["organisation_id"] == organisation
        assert (event["revision"], event["rate_version"]) == (row["revision"], row["rate_version"])
        assert Decimal(event["kwh"]) == row["kwh"]
        assert abs(Decimal(event["energy_cost"]) - row["energy_cost"]) <= _MICRO
        if row["client_id"] is not None:
            assert Decimal(event["service_charge"]) == 0
            assert event["month_charges"] is None


def test_a_rate_corrected_into_the_past_rates_again(system: System) -> None:
    """First since noon of yesterday only, then since before everything; energy stays."""
    site = MeteredSite(system, machines=2)
    try:
        rate = site.rate()
        site.tell(2)
        rows = site.rows()
        site.all_recorded(rows)
        site.agrees(rows)
        yesterday = datetime.now(OSLO).date() - timedelta(days=1)
        noon = datetime.combine(yesterday, time(12), OSLO).astimezone(UTC)

        def dearer_since_noon(at: datetime) -> Decimal:
            return Decimal("0.1001") if at >= noon else tou_price(at)

        flat = {"rate_type": "flat", "flat_rate_usd_per_kwh": "0.1001", "tou_schedule": None}
        _put(system, rate, {**flat, "valid_from": noon.isoformat()}, version=2)
        _rated_by(site, {1: sum(start < noon for start in _starts(rows)),
                         2: sum(start >= noon for start in _starts(rows))})  # fmt: skip
        site.agrees(rows, dearer_since_noon)
        site.published_agrees(rows, dearer_since_noon)

        long_ago = (datetime.now(UTC) - timedelta(days=90)).isoformat()
        _put(system, rate, {"flat_rate_usd_per_kwh": "0.0777", "valid_from": long_ago}, version=3)
        site.all_recorded(rows, version=3)
        site.agrees(rows, lambda _: Decimal("0.0777"))
        site.published_agrees(rows, lambda _: Decimal("0.0777"))
        summary = site.summary()
        assert summary["num_records"] == len(_starts(rows))
        assert _cents(summary["energy_cost_usd"]) == _cents(energy(rows) * Decimal("0.0777"))
        assert set(summary["tou_breakdown_usd"]) == {"Flat"}
    finally:
        site.close()


def _starts(rows: list[Row]) -> set[datetime]:
    return {row.starts_at for row in rows}


def _put(system: System, rate: Json, change: Json, *, version: int) -> None:
    answer = system.api().call("PUT", f"{_RATES}/{rate['id']}", json=change)
    assert answer["rate"]["version"] == version


def _rated_by(site: MeteredSite, wanted: dict[int, int]) -> None:
    def is_so() -> bool:
        return Counter(one["rate_version"] for one in site.costs()) == wanted

    eventually(is_so, f"half-hours by version are {wanted}")


# Document 003's examples and checklist


@pytest.fixture
def hall(system: System) -> Generator[str]:
    """A location of one's own; its rates are gone afterwards."""
    location = f"Hall {new_id()}"
    yield location
    owner = system.api()
    for rate in owner.get(_RATES, location=location)["rates"]:
        owner.call("DELETE", f"{_RATES}/{rate['id']}")


_FLAT: Json = {
    "name": "My Flat Rate",
    "rate_type": "flat",
    "timezone": "America/New_York",
    "flat_rate_usd_per_kwh": "0.12",
    "daily_service_charge_usd": "0.50",
}
_TOU: Json = {
    "name": "TOU Rate",
    "rate_type": "tou",
    "timezone": "America/New_York",
    "tou_schedule": [
        {"name": "Off-Peak", "rate": 0.08, "start_hour": 21, "end_hour": 7},
        {"name": "Peak", "rate": 0.18, "start_hour": 7, "end_hour": 21},
    ],
}
_A_DAY: Json = {
    "power_w": 3000,
    "start_time": "2026-03-03T00:00:00",
    "end_time": "2026-03-04T00:00:00",
}


def test_the_documents_two_examples(system: System, hall: str) -> None:
    """3 kW for a day: 9.14 under the flat rate, 9.96 by the time of use; nothing is stored."""
    owner = system.api()
    flat = owner.post(_RATES, {**_FLAT, "location": hall, "active": True})["rate"]
    bill = owner.post("/api/electricity/calculate", {**_A_DAY, "location": hall})
    assert bill["rate_used"]["id"] == flat["id"]
    amounts = ("total_kwh", "energy_cost_usd", "service_charge_usd", "total_cost_usd")
    assert [Decimal(bill[name]) for name in amounts] == [
        Decimal(one) for one in ("72", "8.64", "0.50", "9.14")
    ]
    tou = owner.post(_RATES, {**_TOU, "location": hall, "active": False})["rate"]
    bill = owner.post("/api/electricity/calculate", {**_A_DAY, "rate_id": tou["id"]})
    assert {name: Decimal(one) for name, one in bill["tou_breakdown_usd"].items()} == {
        "Off-Peak": Decimal("2.40"),
        "Peak": Decimal("7.56"),
    }
    assert Decimal(bill["total_cost_usd"]) == Decimal("9.96")
    nothing = owner.get("/api/electricity/costs", location=hall, start_date="2026-03-01")
    assert nothing["costs"] == []


def test_the_documents_checklist(system: System, hall: str) -> None:
    """What of it an API has: there is no page here to navigate, to darken or to fit a phone."""
    owner = system.api()
    # Create a flat rate and verify it appears.
    flat = owner.post(_RATES, {**_FLAT, "location": hall})["rate"]
    assert flat["active"]  # nothing else was in force there
    listed = owner.get(_RATES, location=hall)
    assert [one["id"] for one in listed["rates"]] == [flat["id"]]
    assert (listed["ok"], listed["count"]) == (True, 1)
    # Create a TOU rate with multiple periods.
    tou = owner.post(_RATES, {**_TOU, "location": hall})["rate"]
    assert not tou["active"]
    assert [row["name"] for row in tou["tou_schedule"]] == ["Off-Peak", "Peak"]
    assert owner.get("/api/electricity/coverage", rate_id=tou["id"])["complete"]
    # Test activating and deactivating: never two at once.
    owner.post(f"{_RATES}/{tou['id']}/activate")
    active = owner.get(_RATES, location=hall, active_only=True)["rates"]
    assert [one["id"] for one in active] == [tou["id"]]
    noon = datetime.combine(datetime.now(UTC).date() + timedelta(days=2), time(12)).isoformat()
    price = owner.get("/api/electricity/current-rate", location=hall, timestamp=noon)
    assert (price["period"], Decimal(price["rate_usd_per_kwh"])) == ("Peak", Decimal("0.18"))
    # Before it was activated the other one was in force.
    before = owner.get("/api/electricity/current-rate", location=hall, timestamp="2026-03-03T12:00")
    assert (before["period"], Decimal(before["rate_usd_per_kwh"])) == ("Flat", Decimal("0.12"))
    owner.post(f"{_RATES}/{tou['id']}/deactivate")
    with pytest.raises(RefusedError) as error:
        owner.get("/api/electricity/current-rate", location=hall)
    assert (error.value.status, error.value.code) == (404, "no_active_rate")
    owner.post(f"{_RATES}/{flat['id']}/activate")
    # Verify the aggregation of the summary: two halves of yesterday are the document's day.
    zone = "America/New_York"
    assert flat["timezone"] == zone
    # A day of UTC: no site says where the hall is, and what lies over midnight is kept by the day.
    morning = datetime.combine(datetime.now(UTC).date() - timedelta(days=1), time(), UTC)
    for start in (morning, morning + timedelta(hours=12)):
        order = {
            "location": hall,
            "period_start": start.isoformat(),
            "period_end": (start + timedelta(hours=12)).isoformat(),
            "power_w": 3000,
        }
        assert owner.post("/api/electricity/record-costs", order)["created"]
        assert not owner.post("/api/electricity/record-costs", order)["created"]
    summary = owner.get("/api/electricity/costs/summary", location=hall)
    assert summary["num_records"] == 2
    assert Decimal(summary["total_kwh"]) == 72
    assert Decimal(summary["energy_cost_usd"]) == Decimal("8.64")
    assert Decimal(summary["total_cost_usd"]) == Decimal("9.14")
    assert Decimal(summary["estimated_daily_cost_usd"]) == Decimal("9.14")


# Letters and webhooks


class _Receiver(HTTPServer):
    """Somebody else's endpoint on this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Endpoint)
        self.taken: list[tuple[dict[str, str], bytes]] = []


class _Endpoint(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((dict(self.headers.items()), body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name in the base)
        """Say nothing: the test looks at what was taken."""


@contextmanager
def _receiving() -> Generator[_Receiver]:
    with _Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, name="receiver")
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()


def test_dear_power_is_told_by_letter_and_by_webhook(system: System, metered: MeteredSite) -> None:
    """Once when it begins, once when it is over; the endpoint can tell that it is from us."""
    owner, began = system.api(), datetime.now(UTC)
    with _receiving() as receiver:
        hook = owner.post(
            "/api/electricity/webhooks",
            {"name": "Test", "url": f"http://127.0.0.1:{receiver.server_port}/costs?a=1",
             "kinds": ["cost_alert"]},
        )  # fmt: skip
        rule = owner.post(
            "/api/electricity/alert-rules",
            {"name": f"Dear {new_id()}", "metric": "price_now", "threshold": "0.0100",
             "site_id": metered.id},
        )  # fmt: skip
        try:
            [fired] = eventually(lambda: _letters(system, rule["name"]), "a letter is there")
            prices = {tou_price(began), tou_price(datetime.now(UTC))}
            assert fired["To"] == system.stack.demo["users"]["owner"]["email"]
            assert any(f"{price.normalize():f}" in _text_of(fired) for price in prices)
            assert "List-Unsubscribe" in fired
            eventually(lambda: len(receiver.taken) == 1, "the endpoint is told")
            message = _verified(receiver.taken[0], hook["secret"])
            assert message["kind"] == "cost_alert"
            assert message["data"]["rule_id"] == rule["id"]
            assert Decimal(message["data"]["value"]) in prices

            change = {"threshold": "100"}
            owner.call("PATCH", f"/api/electricity/alert-rules/{rule['id']}", json=change)
            eventually(lambda: len(_letters(system, rule["name"])) == 2, "and one that it is over")
            eventually(lambda: len(receiver.taken) == 2, "the endpoint is told again")
            over = _verified(receiver.taken[1], hook["secret"])
            assert over["data"]["event"] == "cleared"
            assert over["data"]["alert_id"] == message["data"]["alert_id"]
            # What was done is written down a moment after it was done.
            deliveries = f"/api/electricity/webhooks/{hook['id']}/deliveries"
            eventually(
                lambda: _states(system, deliveries) == ["delivered"] * 2, "both are delivered"
            )
            log = "/api/electricity/messages?kind=cost_alert"
            eventually(lambda: _states(system, log)[:2] == ["sent"] * 2, "both are sent")
            _comes_back(system, fired)
        finally:
            owner.call("DELETE", f"/api/electricity/alert-rules/{rule['id']}")
            owner.call("DELETE", f"/api/electricity/webhooks/{hook['id']}")
    assert _states(system, f"/api/electricity/alerts?rule_id={rule['id']}") == ["cleared"]


def _comes_back(system: System, letter: EmailMessage) -> None:
    """A mail server finds out later that nobody is there, and pipes its report in."""
    report = (
        'Content-Type: multipart/report; report-type=delivery-status; boundary="X"\n\n'
        "--X\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mail.test\n\n"
        f"Final-Recipient: rfc822; {letter['To']}\nAction: failed\nStatus: 5.1.1\n\n"
        f"--X\nContent-Type: text/rfc822-headers\n\nMessage-ID: {letter['Message-ID']}\n--X--\n"
    )
    energy = service_program(system.stack.installation, "energy")
    taken = subprocess.run(
        [*energy.command[:3], "returned-mail"],
        env=child_environment(energy.environment),
        input=report.encode(),
        capture_output=True,
        check=True,
    )
    assert b"taken back" in taken.stdout
    owner, preferences = system.api(), "/api/electricity/messages/preferences"
    assert owner.get(preferences)["bounced"]
    assert not owner.call("PATCH", preferences, json={"bounced": False})["bounced"]


def _states(system: System, path: str) -> list[str]:
    return [one["state"] for one in system.api().get(path)["items"]]


def _letters(system: System, rule: str) -> list[EmailMessage]:
    """Return the letters about a rule in the installation's folder."""
    found: list[EmailMessage] = []
    folder: Path = system.stack.installation.mail_folder
    for path in sorted(folder.glob("**/*.eml")):
        letter = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if rule in _text_of(letter):
            found.append(letter)
    return found


def _text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    assert letter.get_body(("html",)) is not None
    return str(body.get_content())


def _verified(taken: tuple[dict[str, str], bytes], secret: str) -> Json:
    """Check a message as its receiver should, and that a changed one does not pass."""
    headers, body = taken
    verify(body, headers["Hashyard-Signature"], secret)
    with pytest.raises(BadSignature):
        verify(body + b" ", headers["Hashyard-Signature"], secret)
    message = json.loads(body)
    assert message["id"] == headers["Hashyard-Delivery"]
    return message
