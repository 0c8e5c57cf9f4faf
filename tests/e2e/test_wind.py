"""Document 002 on the running system: curtailed wind taken in, summed up, revised and verified.

Difficulty is known for certain only around what is shipped: the days after the halving of 2024.
"""

import subprocess
import sys
from collections.abc import Callable, Generator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from tests.running import Json, System
from tests.stacks import (
    DIFFICULTY,
    MODELS,
    Ingested,
    accepted_bids,
    bitcoin_of,
    carried_out,
    control,
    energy_of,
    payment_of,
    serve_run,
)

from launcher.api import RefusedError
from launcher.processes import child_environment

pytestmark = pytest.mark.e2e
_FIRST, _SECOND = date(2024, 4, 21), date(2024, 4, 22)
_MONTH, _YEAR = "2024-04", 2024
_UNKNOWN_DIFFICULTY = date(2025, 3, 4)
_SATOSHI = Decimal("0.00000001")
_MICRO = Decimal("0.000001")
_TABLES = {
    "curtailment_records": "settlement_date",
    "historical_bitcoin_calculations": "settlement_date",
    "bitcoin_rates": "settlement_date",
    "settlement_days": "settlement_date",
    "daily_summaries": "summary_date",
    "bitcoin_daily_summaries": "summary_date",
    "farm_daily_summaries": "summary_date",
    "bitcoin_farm_daily_summaries": "summary_date",
    "monthly_summaries": "year_month",
    "bitcoin_monthly_summaries": "year_month",
    "yearly_summaries": "year",
    "bitcoin_yearly_summaries": "year",
}
_LOOKED_AT = {"verified_at"}
"""Says when somebody looked, not what was found."""


@pytest.fixture(scope="module")
def ingested(system: System) -> Generator[Ingested]:
    """Two days as the first settlement run had them."""
    serve_run(system, "II", _FIRST, _SECOND)
    yield carried_out(system, "/api/wind/ingest", {"from": str(_FIRST), "to": str(_SECOND)})
    control(system, "reset")


# What is taken in


def test_a_job_takes_days_in_and_says_how_far_it_is(ingested: Ingested, system: System) -> None:
    percents = [percent for percent, _ in ingested.told]
    assert all(earlier <= later for earlier, later in pairwise(percents))
    assert percents[-1] == 100
    assert len(set(percents)) > 3
    assert any("periods" in step for _, step in ingested.told)
    assert ingested.result["complete"]
    assert (ingested.result["days_complete"], ingested.result["periods"]) == (2, 96)
    assert (ingested.result["failures"], ingested.result["defects"]) == ([], [])
    assert set(ingested.result["models"]) == set(MODELS)
    listed = {one["settlement_date"]: one for one in system.api().get("/api/wind/days")["items"]}
    for day in (_FIRST, _SECOND):
        assert listed[str(day)]["status"] == listed[str(day)]["bitcoin_status"] == "complete"


@pytest.mark.parametrize("day", [_FIRST, _SECOND])
def test_a_day_holds_what_the_stacks_hold(system: System, ingested: Ingested, day: date) -> None:
    """The stacks read past the service, with none of its code."""
    del ingested
    bids = accepted_bids(system, day)
    shown = system.api().get(f"/api/wind/summary/daily/{day}")
    assert shown["records"] == len(bids) > 100
    assert _same(shown["total_curtailed_energy_mwh"], energy_of(bids))
    assert _same(shown["total_payment_gbp"], payment_of(bids))
    assert (shown["periods_complete"], shown["is_complete"]) == (48, True)
    assert shown["simulated"]
    assert Decimal(shown["wind_generation_mwh"]) > Decimal(shown["total_curtailed_energy_mwh"])


def _same(shown: str, exact: Decimal) -> bool:
    return abs(Decimal(shown) - exact) <= _MICRO


# Summaries


def test_day_month_and_year_agree(system: System, ingested: Ingested) -> None:
    """In energy and in payments, by everybody and by lead party."""
    del ingested
    get = system.api().get
    days = [get(f"/api/wind/summary/daily/{day}") for day in (_FIRST, _SECOND)]
    month = get(f"/api/wind/summary/monthly/{_MONTH}")
    year = get(f"/api/wind/summary/yearly/{_YEAR}")
    for name in ("total_curtailed_energy_mwh", "total_payment_gbp"):
        of_days = sum(Decimal(day[name]) for day in days)
        assert abs(Decimal(month[name]) - of_days) <= 2 * _MICRO
        assert month[name] == year[name]
    assert month["records"] == year["records"] == sum(day["records"] for day in days)
    assert [one["date"] for one in month["daily_totals"]] == [str(_FIRST), str(_SECOND)]
    assert not month["is_complete"]
    assert (month["days_complete"], month["days_missing"]) == (2, 28)
    parties = get(f"/api/wind/lead-parties/{_FIRST}")["items"]
    of_parties = sum(Decimal(one["curtailed_energy_mwh"]) for one in parties)
    assert abs(of_parties - Decimal(days[0]["total_curtailed_energy_mwh"])) <= len(parties) * _MICRO
    hours = get(f"/api/wind/curtailment/hourly/{_FIRST}")["items"]
    of_hours = sum(Decimal(one["curtailed_energy_mwh"]) for one in hours)
    assert abs(of_hours - Decimal(days[0]["total_curtailed_energy_mwh"])) <= 24 * _MICRO


@pytest.mark.parametrize("model", sorted(MODELS))
def test_bitcoin_is_what_the_energy_mines_by_hand(
    system: System, ingested: Ingested, model: str
) -> None:
    del ingested
    get = system.api().get
    wanted: dict[date, Fraction] = {}
    for day in (_FIRST, _SECOND):
        wanted[day] = bitcoin_of(energy_of(accepted_bids(system, day)), model)
        shown = get("/api/wind/mining-potential/daily", date=str(day), miner_model=model)
        assert Fraction(Decimal(shown["difficulty"])) == DIFFICULTY
        assert abs(Fraction(Decimal(shown["bitcoin_mined"])) - wanted[day]) <= Fraction(_SATOSHI)
        value = Decimal(shown["bitcoin_mined"]) * Decimal(shown["current_price"])
        assert Decimal(shown["value_at_current_price"]) == pytest.approx(value, rel=Decimal("1e-8"))
    for span in (f"monthly/{_MONTH}", f"yearly/{_YEAR}"):
        shown = get(f"/api/wind/mining-potential/{span}", miner_model=model)
        difference = Fraction(Decimal(shown["bitcoin_mined"])) - sum(wanted.values())
        assert abs(difference) <= Fraction(_SATOSHI)
    farms = get("/api/wind/mining-potential/farms", value=str(_FIRST), miner_model=model)["items"]
    of_farms = sum(Fraction(Decimal(one["bitcoin_mined"])) for one in farms)
    assert abs(of_farms - wanted[_FIRST]) <= len(farms) * Fraction(_SATOSHI)


def test_a_difficulty_that_is_not_known_is_said_and_not_guessed(
    system: System, ingested: Ingested
) -> None:
    """The energy is there all the same; bitcoin is null, with its reason."""
    del ingested
    result = carried_out(system, "/api/wind/ingest", {"date": str(_UNKNOWN_DIFFICULTY)}).result
    assert not result["complete"]
    [gap] = result["incomplete_days"]
    assert (gap["bitcoin_status"], gap["missing_periods"]) == ("difficulty_unavailable", [])
    day = {"date": str(_UNKNOWN_DIFFICULTY), "miner_model": "S9"}
    shown = system.api().get("/api/wind/mining-potential/daily", **day)
    assert Decimal(shown["curtailed_energy_mwh"]) > 0
    assert (shown["bitcoin_mined"], shown["value_at_current_price"]) == (None, None)
    assert shown["bitcoin_reason"] == "difficulty_unavailable"
    order = {"mwh": "1", "model": "S9", "settlement_date": day["date"], "settlement_period": 1}
    with pytest.raises(RefusedError) as error:
        system.api().post("/api/wind/calculate", order)
    assert (error.value.status, error.value.code) == (503, "difficulty_unavailable")


# Doing it again


def _books(system: System) -> dict[str, list[Json]]:
    """Return all that is stored of April and of its year, with every time and revision."""
    spans: dict[str, tuple[Callable[[], object], str]] = {
        "settlement_date": (lambda: _FIRST.replace(day=1), "date_trunc('month', {0}) = $1"),
        "summary_date": (lambda: _FIRST.replace(day=1), "date_trunc('month', {0}) = $1"),
        "year_month": (lambda: _MONTH, "{0} = $1"),
        "year": (lambda: _YEAR, "{0} = $1"),
    }
    found: dict[str, list[Json]] = {}
    for table, column in _TABLES.items():
        value, condition = spans[column]
        rows = system.sql(f"SELECT * FROM energy.{table} WHERE {condition.format(column)}", value())
        kept = [{name: one[name] for name in dict(one) if name not in _LOOKED_AT} for one in rows]
        found[table] = sorted(kept, key=repr)
    return found


def test_the_same_again_changes_nothing(system: System, ingested: Ingested) -> None:
    """Not a row, not a time, not a revision."""
    del ingested
    before = _books(system)
    assert all(before.values())
    again = carried_out(
        system, "/api/wind/ingest", {"from": str(_FIRST), "to": str(_SECOND)}
    ).result
    assert again["complete"]
    assert (again["days_changed"], again["rows_changed"], again["changed_days"]) == (0, 0, [])
    assert _books(system) == before


def test_a_settlement_run_that_revises_changes_one_day_and_its_chain(
    system: System, ingested: Ingested
) -> None:
    """Day, month and year of energy and of bitcoin move by the same; the next day does not."""
    del ingested
    before = _books(system)
    serve_run(system, "SF", _FIRST)
    result = carried_out(
        system, "/api/wind/reconcile", {"from": str(_FIRST), "to": str(_SECOND)}
    ).result
    assert result["changed_days"] == [str(_FIRST)]
    assert result["complete"]
    after = _books(system)
    bids = accepted_bids(system, _FIRST)
    shown = system.api().get(f"/api/wind/summary/daily/{_FIRST}")
    assert shown["records"] == len(bids)
    assert _same(shown["total_curtailed_energy_mwh"], energy_of(bids))
    for table, column in _TABLES.items():
        if column.endswith("_date"):
            for books in (before, after):
                assert any(row[column] == _SECOND for row in books[table]), table
            assert _of(after, table, _SECOND) == _of(before, table, _SECOND)
            assert _of(after, table, _FIRST) != _of(before, table, _FIRST) or table in _RATES
    for names, tables in _CHAINS.items():
        moved = [_moved(before, after, table, names) for table in tables]
        assert moved[0] == moved[1] == moved[2]
        assert all(amount != 0 for amounts in moved[0].values() for amount in amounts)


_RATES = {"bitcoin_rates"}
"""Difficulty and machines are what they were."""
_CHAINS = {
    ("total_curtailed_energy", "total_payment"): (
        "daily_summaries", "monthly_summaries", "yearly_summaries",
    ),
    ("bitcoin_mined",): (
        "bitcoin_daily_summaries", "bitcoin_monthly_summaries", "bitcoin_yearly_summaries",
    ),
}  # fmt: skip


def _of(books: dict[str, list[Json]], table: str, day: date) -> list[Json]:
    return [row for row in books[table] if row[_TABLES[table]] == day]


def _moved(
    before: dict[str, list[Json]], after: dict[str, list[Json]], table: str, names: tuple[str, ...]
) -> dict[str, list[Decimal]]:
    """Return by how much the sums of a table have moved, by miner model where it has one."""
    found: dict[str, list[Decimal]] = {}
    for sign, books in ((-1, before), (1, after)):
        for row in books[table]:
            amounts = found.setdefault(row.get("miner_model", ""), [Decimal(0)] * len(names))
            for place, name in enumerate(names):
                amounts[place] += sign * row[name]
    return found


def test_the_command_line_verifies_the_same(system: System, ingested: Ingested) -> None:
    """`python -m energy wind verify`: 0 and the API's figures; 1 where something is missing."""
    del ingested
    shown = system.api().get(f"/api/wind/verify/{_FIRST}")
    [day] = shown["items"]
    assert shown["complete"]
    assert (day["defects"], shown["wrong_summaries"]) == ([], [])
    code, said = _command(system, "verify", str(_FIRST))
    assert code == 0, said
    assert "1 of 1 days complete; complete" in said
    assert f"{day['records']:,}" in said
    assert f"{Decimal(day['curtailed_energy_mwh']):,.3f}" in said
    for model in MODELS:
        assert f"{Decimal(day['models'][model]['bitcoin_mined']):.8f}" in said
    code, said = _command(system, "verify", "2024-04-23")
    assert code == 1, said
    assert "0 of 1 days complete; incomplete" in said


def _command(system: System, *arguments: str) -> tuple[int, str]:
    environment = child_environment(system.stack.installation.environment_of("energy"))
    done = subprocess.run(
        [sys.executable, "-m", "energy", "wind", *arguments],
        env=environment | {"COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
