"""The energy service is killed in mid-work, and the broker goes away: nothing lost or doubled."""

import json
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.books import STRANGER
from tests.breaking import killed
from tests.metering import MeteredSite
from tests.running import Json, Record, System, eventually
from tests.stacks import (
    MODELS,
    accepted_bids,
    bitcoin_of,
    carried_out,
    energy_of,
    payment_of,
)

from common.ids import new_id

pytestmark = [pytest.mark.e2e, pytest.mark.kafka]
_DAYS = (date(2024, 4, 21), date(2024, 4, 22))
_MICRO = Decimal("0.000001")
_SATOSHI = Fraction(1, 10**8)
_HALF_HOURS = "telemetry.half-hour.v1"


@contextmanager
def _metered(system: System, machines: int) -> Generator[MeteredSite]:
    site = MeteredSite(system, machines=machines)
    try:
        site.rate()
        yield site
    finally:
        site.close()


def _all_is_right(site: MeteredSite) -> None:
    """Every half-hour that telemetry shows is recorded once, at its price; the broker says so."""
    rows = site.rows()
    site.all_recorded(rows)
    site.agrees(rows)
    site.published_agrees(rows)
    parts = site.system.sql(
        "SELECT starts_at, revision, roster_id FROM energy.half_hour_part WHERE site_id = $1::uuid",
        site.id,
    )
    assert max(Counter(tuple(row) for row in parts).values()) == 1


# Wind


def test_an_ingestion_that_is_killed_goes_on_where_it_was(whole: System) -> None:
    """Killed in mid-fetch of one day, and again at the other, wherever it is found there."""
    points = {_DAYS[0]: "of 48", _DAYS[1]: "48"}

    def kill(job: Json) -> None:
        for day, point in list(points.items()):
            if job["step"].startswith(str(day)) and point in job["step"]:
                del points[day]
                killed("energy")(whole)

    order = {"from": str(_DAYS[0]), "to": str(_DAYS[1])}
    ingested = carried_out(whole, "/api/wind/ingest", order, meanwhile=kill)
    assert points == {}, ingested.told
    assert ingested.result["complete"]
    assert ingested.result["periods"] == 96
    _wind_is_right(whole)
    stored = _stored(whole)
    again = carried_out(whole, "/api/wind/ingest", order).result
    assert (again["days_changed"], again["rows_changed"]) == (0, 0)
    assert _stored(whole) == stored


def _wind_is_right(system: System) -> None:
    """What is stored is what the stacks hold, read past the service."""
    energy, bitcoin = Decimal(0), dict.fromkeys(MODELS, Fraction(0))
    for day in _DAYS:
        bids = accepted_bids(system, day)
        shown = system.api().get(f"/api/wind/summary/daily/{day}")
        assert shown["records"] == len(bids)
        assert abs(Decimal(shown["total_curtailed_energy_mwh"]) - energy_of(bids)) <= _MICRO
        assert abs(Decimal(shown["total_payment_gbp"]) - payment_of(bids)) <= _MICRO
        energy += energy_of(bids)
        for model in MODELS:
            bitcoin[model] += bitcoin_of(energy_of(bids), model)
        verified = system.api().get(f"/api/wind/verify/{day}")
        assert verified["complete"], verified
    year = system.api().get(f"/api/wind/summary/yearly/{_DAYS[0].year}")
    assert abs(Decimal(year["total_curtailed_energy_mwh"]) - energy) <= _MICRO
    for model, wanted in bitcoin.items():
        path = f"/api/wind/mining-potential/yearly/{_DAYS[0].year}"
        shown = system.api().get(path, miner_model=model)
        assert abs(Fraction(Decimal(shown["bitcoin_mined"])) - wanted) <= _SATOSHI


def _stored(system: System) -> dict[str, Any]:
    tables = ("curtailment_records", "historical_bitcoin_calculations", "settlement_periods",
              "elexon_answers", "daily_summaries", "bitcoin_daily_summaries")  # fmt: skip
    return {name: system.sql(f"SELECT count(*) FROM energy.{name}")[0][0] for name in tables}


# Costs


def test_costs_are_recorded_over_kills(whole: System) -> None:
    """Killed once half-hours flow, and again while it catches up."""
    with _metered(whole, 4) as site:
        with site.telling(20):
            eventually(lambda: site.recorded() > 0, "half-hours flow")
            killed("energy")(whole)
            before = site.recorded()
            if before < 20 * 48:
                eventually(lambda: site.recorded() > before, "it goes on")
            killed("energy")(whole)
        assert len({row.starts_at for row in site.rows()}) >= 20 * 48 - 1
        _all_is_right(site)


def test_costs_are_recorded_while_the_broker_is_away(whole: System) -> None:
    with _metered(whole, 4) as site:
        with site.telling(10):
            eventually(lambda: site.recorded() > 0, "half-hours flow")
            whole.stack.restart("kafka", down_s=3.0)
        _all_is_right(site)
        # A rate that changes while the broker is away rates again once it is back.
        rate = whole.api().get("/api/electricity/rates", site_id=site.id)["rates"][0]
        change = {
            "rate_type": "flat",
            "flat_rate_usd_per_kwh": "0.0777",
            "tou_schedule": None,
            "valid_from": "2026-01-01T00:00:00Z",
        }
        with whole.stack.held("kafka"):
            path = f"/api/electricity/rates/{rate['id']}"
            assert whole.api().call("PUT", path, json=change)["rate"]["version"] == 2
        whole.stack.wait_ready("kafka")
        rows = site.rows()
        site.all_recorded(rows, version=2)
        site.agrees(rows, lambda _: Decimal("0.0777"))
        site.published_agrees(rows, lambda _: Decimal("0.0777"))


def test_a_poisonous_half_hour_is_put_aside_and_what_follows_is_recorded(whole: System) -> None:
    """Before, between and behind good ones, of the same site: one batch holds them all."""
    with _metered(whole, 3) as site:
        site.tell(1)
        good = next(one for one in whole.records(_HALF_HOURS) if one.key == site.id)
        before = {row["event_id"] for row in _buried(whole)}
        poison = _poisonous(good)
        with site.telling(3):
            whole.produce(poison.values())

        def are_buried() -> dict[str, str] | None:
            found = {row["event_id"]: row["reason"] for row in _buried(whole)}
            told = {event_id: found[event_id] for event_id in found.keys() - before}
            return told if len(told) == len(poison) else None

        buried = eventually(are_buried, "poison is in energy's dead letters")
        known = {record.headers["ce_id"]: what for what, record in poison.items()}
        assert {known[event_id]: reason for event_id, reason in buried.items()} == {
            what: _REASONS.get(what, "invalid") for what in poison
        }
        _all_is_right(site)


_REASONS = {"a later major": "unsupported-major", "an id that is none": "failed"}


def _later(starts_at: str) -> str:
    return (datetime.fromisoformat(starts_at) + timedelta(minutes=10)).isoformat()


def _poisonous(good: Record) -> dict[str, Record]:
    """Return what is wrong with a half-hour, and a record that is so."""
    told = good.data
    told["revision"] = 1_000_000  # would win, were it taken
    row = told["rows"][0] | {"kwh": 0.5}
    texts = {
        "not JSON": '{"site_id": ',
        "not an object": "[]",
        "a start between half-hours": json.dumps(told | {"starts_at": _later(told["starts_at"])}),
        "no rows": json.dumps({name: told[name] for name in told if name != "rows"}),
        "negative energy": json.dumps(told | {"rows": [row | {"kwh": -0.5}]}),
        "energy that is no number": json.dumps(told | {"rows": [row | {"kwh": float("nan")}]}),
        "too much energy": json.dumps(told | {"rows": [row | {"kwh": 1e12}]}),
        "a machine that is none": json.dumps(told | {"rows": [row | {"miner_id": "seven"}]}),
        "an id that is none": json.dumps(told | {"rows": [row | {"miner_id": "z" * 36}]}),
        "a client that is none": json.dumps(told | {"rows": [row | {"client_id": "z" * 36}]}),
        "a time without a zone": json.dumps(told | {"starts_at": "2026-11-01T00:00:00"}),
        "a later major": json.dumps(told),
    }
    found: dict[str, Record] = {}
    for what, text in texts.items():
        headers = {**good.headers, "ce_source": STRANGER, "ce_id": str(new_id())}
        if what == "a later major":
            headers["ce_type"] = f"{headers['ce_type'][:-1]}2"
        found[what] = Record(
            good.topic, partition=0, position=0, key=good.key, headers=headers, value=text.encode()
        )
    return found


def _buried(system: System) -> list[Json]:
    rows = system.sql("SELECT event_id::text, reason, consumer FROM energy.dead_letter")
    return [dict(row) for row in rows]
