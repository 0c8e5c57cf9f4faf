from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from hosting.domain.curtailment_choice import Candidate, Machine, Screening, Skipped, screen

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
GOOD = Machine(
    miner_id=UUID(int=1),
    status="active",
    firmware="luxos",
    group="S21",
    in_another_plan=False,
    hashrate_ths=200,
    power_w=3500,
    sampled_at=NOON - timedelta(seconds=30),
)


def screened(*machines: Machine) -> Screening:
    return screen(machines, now=NOON, max_age=timedelta(seconds=180), sleep_power_w=100)


def test_a_running_machine_sheds_what_it_draws_less_what_it_keeps() -> None:
    [candidate] = screened(GOOD).candidates
    assert candidate.sheddable_w == 3400
    assert screened(GOOD, GOOD).maximum_w == 6800


@pytest.mark.parametrize(
    ("machine", "reason"),
    [
        (replace(GOOD, in_another_plan=True, status="curtailed"), "in_another_plan"),
        (replace(GOOD, status="maintenance"), "maintenance"),
        (replace(GOOD, status="offline"), "not_running"),
        (replace(GOOD, firmware="antminer"), "unsupported_firmware"),
        (replace(GOOD, firmware=None, power_w=None), "unsupported_firmware"),
        (replace(GOOD, firmware=None, power_estimated=True), "unsupported_firmware"),
        (replace(GOOD, sampled_at=None), "no_telemetry"),
        (replace(GOOD, sampled_at=NOON - timedelta(seconds=181)), "stale_telemetry"),
        (replace(GOOD, power_w=None), "no_power"),
        (replace(GOOD, power_w=100), "no_power"),
        (replace(GOOD, hashrate_ths=0), "no_power"),
        (replace(GOOD, hashrate_ths=None), "no_power"),
    ],
)
def test_a_machine_that_cannot_help_is_skipped_with_the_reason(
    machine: Machine, reason: str
) -> None:
    screening = screened(machine, GOOD)
    assert [skipped.reason for skipped in screening.skipped] == [reason]
    assert screening.skipped_by_reason() == {reason: 1}
    assert len(screening.candidates) == 1


def test_watts_of_its_own_speak_for_an_unknown_firmware() -> None:
    assert len(screened(replace(GOOD, firmware=None)).candidates) == 1


def test_no_machine_is_lost_between_the_two_lists() -> None:
    machines = [replace(GOOD, miner_id=UUID(int=n), power_w=n * 50) for n in range(10)]
    screening = screened(*machines)
    seen: list[Candidate | Skipped] = [*screening.candidates, *screening.skipped]
    assert {item.miner_id for item in seen} == {machine.miner_id for machine in machines}
