"""What one answer changes in what is known: alarms, counters, flags."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from common.runtime import Runtime
from telemetry.domain.reading import Flag, Outcome, Reading
from telemetry.domain.slots import Slots
from telemetry.fleet.machine import Machine, SiteNetworks
from telemetry.poller.observation import Observer
from telemetry.samples.record import SAMPLE_COLUMNS, Record
from telemetry.settings import Settings

SLOTS = Slots(60)
START = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FIRST = SLOTS.of(START)


@pytest.fixture
def observer(runtime: Runtime) -> Observer:
    return Observer(cast("Settings", runtime.settings), SLOTS)


@pytest.fixture
def machine() -> Machine:
    site = SiteNetworks(UUID(int=1), UUID(int=2), (), {}, 1)
    return Machine(
        id=UUID(int=3),
        organisation_id=UUID(int=2),
        client_id=None,
        site=site,
        address="10.0.0.1",
        port=4028,
        firmware="luxos",
        model="S19",
        nameplate_hashrate_ths=100.0,
        nameplate_power_w=3250.0,
        partition=0,
        version=1,
    )


def _see(observer: Observer, machine: Machine, minute: int, **values: Any) -> Record:
    known: dict[str, Any] = {"outcome": Outcome.OK, "hashrate_5s_ths": 100.0} | values
    at = START + timedelta(minutes=minute)
    return observer.observe(machine, Reading(**known), slot=FIRST + minute, at=at)


def _column(record: Record, name: str) -> Any:
    return record.row[SAMPLE_COLUMNS.index(name)]


def _fires(machine: Machine, rule: str) -> bool:
    return machine.watches[rule].firing


def test_a_low_hashrate_fires_and_clears(observer: Observer, machine: Machine) -> None:
    for minute in range(3):
        assert not machine.watches or not _fires(machine, "low_hashrate")
        _see(observer, machine, minute, hashrate_5s_ths=80.0)
    assert _fires(machine, "low_hashrate")
    assert machine.alarm_values["low_hashrate"] == (80.0, 85.0)
    for minute in range(3, 8):
        _see(observer, machine, minute)
    assert not _fires(machine, "low_hashrate")


def test_a_curtailed_or_ramping_machine_owes_no_hashrate(
    observer: Observer, machine: Machine
) -> None:
    machine.curtailed_since = START
    for minute in range(5):
        _see(observer, machine, minute, hashrate_5s_ths=0.0)
    assert not _fires(machine, "low_hashrate")
    machine.curtailed_since = None
    machine.ramping_until = START + timedelta(minutes=10)
    for minute in range(5, 12):
        _see(observer, machine, minute, hashrate_5s_ths=10.0)
    assert not _fires(machine, "low_hashrate")
    _see(observer, machine, 12, hashrate_5s_ths=10.0)
    assert _fires(machine, "low_hashrate")


def test_an_implausible_rate_says_nothing(observer: Observer, machine: Machine) -> None:
    for minute in range(3):
        _see(observer, machine, minute, hashrate_5s_ths=50.0)
    for minute in range(3, 10):
        _see(observer, machine, minute, hashrate_5s_ths=1e5, flags=(Flag.IMPLAUSIBLE,))
    assert _fires(machine, "low_hashrate")


def test_heat_counts_even_while_curtailed(observer: Observer, machine: Machine) -> None:
    machine.curtailed_since = START
    for minute in range(2):
        _see(observer, machine, minute, chip_temp_max_c=70.0, board_temp_max_c=88.0)
    assert _fires(machine, "temperature")
    assert machine.alarm_values["temperature"] == (88.0, 85.0)


def test_shares_are_counted_from_sample_to_sample(observer: Observer, machine: Machine) -> None:
    _see(observer, machine, 0, accepted=100, mining_uptime_s=1000)
    extra = Reading(outcome=Outcome.OK, accepted=104, mining_uptime_s=1030)
    observer.observe(machine, extra, slot=None, at=START + timedelta(seconds=30))
    record = _see(observer, machine, 1, accepted=110, mining_uptime_s=1060)
    assert _column(record, "accepted_delta") == 10
    record = _see(observer, machine, 2, accepted=3, mining_uptime_s=20)
    assert _column(record, "accepted_delta") == 3
    assert machine.ramping_until is not None, "it has just started again"


def test_silence_makes_probes_rare_and_an_extra_poll_proves_presence_only(
    observer: Observer, machine: Machine
) -> None:
    _see(observer, machine, 0)
    for minute in (1, 2, 3):
        _see(observer, machine, minute, outcome=Outcome.REFUSED, hashrate_5s_ths=None)
    assert machine.presence.online is False
    assert machine.probe_slot == FIRST + 3 + 2
    row = observer.not_probed(machine, slot=FIRST + 4, at=START + timedelta(minutes=4))
    assert (_column(row, "up"), _column(row, "outcome")) == (False, "refused")
    assert _column(row, "flags") == ["not_probed"]
    silent = Reading(outcome=Outcome.READ_TIMEOUT)
    before = machine.presence
    observer.observe(machine, silent, slot=None, at=START + timedelta(minutes=5))
    assert machine.presence == before
    observer.observe(machine, Reading(outcome=Outcome.OK), slot=None, at=START)
    assert machine.presence.online is True


def test_our_own_lateness_is_no_verdict(observer: Observer, machine: Machine) -> None:
    _see(observer, machine, 0)
    for minute in range(1, 9):
        _see(observer, machine, minute, outcome=Outcome.INCONCLUSIVE, hashrate_5s_ths=None)
    assert machine.presence.online is True
