"""Polls of simulated and of scripted miners: one slot, few questions, always an outcome."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from simulation.faults import FaultKind
from telemetry.devices.device import (
    IDENTITY_MAX_AGE_S,
    JOIN_MAX_AGE_S,
    Capabilities,
    Device,
    Limits,
)
from telemetry.devices.polling import poll
from telemetry.domain.reading import Family, Flag, Outcome, Reading

NOTHING = Capabilities()
OK = {"STATUS": [{"STATUS": "S", "Code": 11, "Description": "bmminer 1.0.0"}]}
REFUSED = {"STATUS": [{"STATUS": "E", "Code": 14, "Msg": "Invalid command"}], "id": 1}
DENIED = {"STATUS": [{"STATUS": "E", "Code": 45, "Msg": "Access denied"}], "id": 1}
SUMMARY_ROW = {"Elapsed": 60, "GHS 5s": "7903.729", "Accepted": 5}
SUMMARY = {**OK, "SUMMARY": [SUMMARY_ROW], "id": 1}
STATS = {**OK, "STATS": [{"Type": "Antminer S9", "fan_num": 0}], "id": 1}
POOLS = {**OK, "POOLS": [], "id": 1}
VERSION = {**OK, "VERSION": [{"BMMiner": "1", "Type": "Antminer S9"}], "id": 1}
PARTS = {"summary": SUMMARY, "stats": STATS, "pools": POOLS, "version": VERSION}
EVERY_TIME = "summary+stats+pools"
WITH_IDENTITY = EVERY_TIME + "+version"


def wire(document: object) -> bytes:
    return orjson.dumps(document) + b"\0"


def joined(**changes: object) -> bytes:
    parts = {**PARTS, **changes}
    return wire({command: [part] for command, part in parts.items()} | {"id": 1})


@pytest.mark.parametrize("family", list(Family)[:3])
@pytest.mark.parametrize("is_told", [True, False])
async def test_a_simulated_miner_is_read_whole(
    family: Family, is_told: bool, fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={family.value: 1.0})).miners
    device = Device(miner.address, miner.port, family.value if is_told else None)
    first, learned = await poll(device, NOTHING, limits)
    reading, learned = await poll(device, learned, limits)
    unit = miner.unit
    assert (first.outcome, reading.outcome, reading.flags) == (Outcome.OK, Outcome.OK, ())
    assert reading.hashrate_5s_ths == pytest.approx(unit.hashrate_ths, rel=0.1)
    assert (reading.boards, reading.chips) == (unit.model.boards, unit.model.chips)
    assert reading.is_mining is True
    assert len(reading.fans_rpm) >= 2
    assert len(reading.pools) == 3
    assert reading.board_temp_max_c is not None
    assert (reading.power_w is None) == (family is Family.ANTMINER)
    assert (learned.family, learned.joins) == (family, True)
    assert reading.model == unit.model.type_name
    if family is not Family.ANTMINER:
        assert (reading.mac, reading.serial) == (unit.mac.upper(), unit.serial_number)


FAULTS: dict[FaultKind, tuple[Outcome, set[Flag]]] = {
    "refuse": (Outcome.REFUSED, set()),
    "drop": (Outcome.CONNECT_TIMEOUT, set()),
    "silent": (Outcome.READ_TIMEOUT, set()),
    "slow": (Outcome.READ_TIMEOUT, set()),
    "empty": (Outcome.TRUNCATED, set()),
    "half_json": (Outcome.TRUNCATED, set()),
    "reset": (Outcome.RESET, set()),
    "banner": (Outcome.NOT_JSON, set()),
    "too_large": (Outcome.TOO_LARGE, set()),
    "deep_nesting": (Outcome.NOT_JSON, set()),
    "no_nul": (Outcome.OK, set()),
    "nul_open": (Outcome.OK, set()),
    "missing_comma": (Outcome.REPAIRED, {Flag.MISSING_COMMA}),
    "stray_comma": (Outcome.REPAIRED, {Flag.STRAY_COMMA}),
    "trailing_comma": (Outcome.REPAIRED, {Flag.STRAY_COMMA}),
    "raw_newline": (Outcome.REPAIRED, {Flag.CONTROL_CHARACTER}),
    "nan": (Outcome.REPAIRED, {Flag.NOT_FINITE}),
    "two_documents": (Outcome.REPAIRED, {Flag.SECOND_DOCUMENT}),
    "bad_utf8": (Outcome.REPAIRED, {Flag.INVALID_UTF8}),
    "implausible": (Outcome.OK, {Flag.IMPLAUSIBLE}),
    "wrong_shape": (Outcome.PARTIAL, {Flag.WRONG_SHAPE}),
    "mid_object": (Outcome.WRONG_SHAPE, {Flag.MISSING_OPENING}),
}


@pytest.mark.parametrize("fault", list(FAULTS))
async def test_each_fault_has_its_outcome(fault: FaultKind, fleet_of: Any, limits: Limits) -> None:
    [miner] = (await fleet_of(1, mix={"antminer": 1.0})).miners
    device = Device(miner.address, miner.port, "antminer")
    _, learned = await poll(device, NOTHING, limits)
    await miner.set_fault(fault)
    reading, _ = await poll(device, learned, limits)
    outcome, flags = FAULTS[fault]
    assert (reading.outcome, set(reading.flags)) == (outcome, flags)
    if not outcome.has_values:
        assert reading == Reading(outcome, flags=tuple(flags))


async def test_a_join_that_is_refused_is_learned_and_asked_in_turn_in_the_same_slot(
    scripted_miner: Any, answers_by_command: Any, limits: Limits
) -> None:
    singles = {command: wire(part) for command, part in PARTS.items()}
    async with scripted_miner(answers_by_command(singles)) as miner:
        reading, learned = await poll(miner.device("antminer"), NOTHING, limits)
        assert miner.commands == [WITH_IDENTITY, "summary", "stats", "pools", "version"]
        assert (reading.outcome, reading.hashrate_5s_ths) == (Outcome.OK, 7.903729)
        assert learned.joins is False
        miner.requests.clear()
        await poll(miner.device("antminer"), learned, limits)
        assert miner.commands == ["summary", "stats", "pools"]
        assert miner.most_connections == 1
        long_ago = replace(learned, joins_learned_at=-2 * JOIN_MAX_AGE_S)
        miner.requests.clear()
        await poll(miner.device("antminer"), long_ago, replace(limits, monotonic=lambda: 0.0))
        assert miner.commands[0].startswith(EVERY_TIME)


async def test_one_part_that_fails_leaves_the_others(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(joined(stats=REFUSED))) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, limits)
    assert (reading.outcome, reading.flags) == (Outcome.PARTIAL, (Flag.PART_MISSING,))
    assert reading.accepted == 5


async def test_a_miner_that_denies_is_denied_and_not_asked_again(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(wire(DENIED))) as miner:
        reading, learned = await poll(miner.device("antminer"), NOTHING, limits)
        assert len(miner.requests) == 1
    assert reading == Reading(Outcome.DENIED)
    assert reading.outcome.answered
    assert learned.joins is None


async def test_a_cut_answer_is_asked_for_once_more_and_kept_whole(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    waits: list[tuple[float, float]] = []

    def dice(low: float, high: float) -> float:
        waits.append((low, high))
        return 0.0

    patient = replace(limits, uniform=dice, retry_after_s=(0.5, 2.0))
    whole = joined()
    async with scripted_miner(says(whole[: len(whole) // 2], whole)) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, patient)
        assert len(miner.requests) == 2
    assert (reading.outcome, reading.accepted) == (Outcome.OK, 5)
    assert waits == [(0.5, 2.0)]


@pytest.mark.parametrize(
    ("answer", "outcome"), [(b"", Outcome.TRUNCATED), (b'{"summary":[{"STA', Outcome.TRUNCATED)]
)
async def test_there_is_only_one_retry_and_no_partial_value(
    answer: bytes, outcome: Outcome, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(answer)) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, limits)
        assert len(miner.requests) == 2
    assert reading == Reading(outcome)


async def test_a_reset_is_asked_for_once_more(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(b'{"summary":', reset=True)) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, limits)
        assert len(miner.requests) == 2
    assert reading == Reading(Outcome.RESET)


async def test_silence_is_not_asked_again(scripted_miner: Any, says: Any, limits: Limits) -> None:
    async with scripted_miner(says(b"", stay_open=True)) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, limits)
        assert len(miner.requests) == 1
    assert reading == Reading(Outcome.READ_TIMEOUT)


async def test_who_it_is_is_asked_seldom_and_after_a_restart(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    restarted = {**SUMMARY, "SUMMARY": [{**SUMMARY_ROW, "Elapsed": 3}]}
    now = 0.0
    timed = replace(limits, monotonic=lambda: now)
    answers = says(joined(), joined(), joined(summary=restarted), joined(summary=restarted))
    async with scripted_miner(answers) as miner:
        device, learned = miner.device("antminer"), NOTHING
        for _ in range(4):
            reading, learned = await poll(device, learned, timed)
            assert reading.model == "Antminer S9"
        expected = [WITH_IDENTITY, EVERY_TIME, EVERY_TIME, WITH_IDENTITY]
        assert miner.commands == expected
        _, learned = await poll(device, learned, timed)
        now = IDENTITY_MAX_AGE_S + 1
        _, learned = await poll(device, learned, timed)
        assert miner.commands == [*expected, EVERY_TIME, WITH_IDENTITY]


async def test_another_machine_at_the_address_is_noticed(fleet_of: Any, limits: Limits) -> None:
    [miner] = (await fleet_of(1, mix={"whatsminer": 1.0})).miners
    device = Device(miner.address, miner.port, "whatsminer")
    _, learned = await poll(device, NOTHING, limits)
    await miner.set_fault("identity")
    reading, learned = await poll(device, learned, limits)
    assert reading.flags == (Flag.IDENTITY_CHANGED,)
    assert learned.identity.mac == reading.mac
    reading, _ = await poll(device, learned, limits)
    assert reading.flags == ()


async def test_a_wrong_firmware_on_the_label_is_noticed_and_put_right(
    fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={"luxos": 1.0})).miners
    device = Device(miner.address, miner.port, "antminer")
    reading, learned = await poll(device, NOTHING, limits)
    assert Flag.FIRMWARE_MISMATCH in reading.flags
    reading, learned = await poll(device, learned, limits)
    assert (reading.outcome, reading.flags, learned.family) == (Outcome.OK, (), Family.LUXOS)
    assert reading.power_w is not None


async def test_what_was_learned_elsewhere_is_not_used(fleet_of: Any, limits: Limits) -> None:
    luxos, stock = (await fleet_of(2, mix={"luxos": 0.5, "antminer": 0.5})).miners
    _, learned = await poll(Device(luxos.address, luxos.port), NOTHING, limits)
    reading, learned = await poll(Device(stock.address, stock.port), learned, limits)
    assert (learned.family, reading.mac, reading.flags) == (Family.ANTMINER, None, ())


async def test_an_unknown_vendor_is_polled_by_the_generic_plan(
    scripted_miner: Any, answers_by_command: Any, limits: Limits
) -> None:
    described = {"STATUS": [{"STATUS": "S", "Description": "cgminer 4.11.1"}]}
    answers = {
        "summary": wire({**described, "SUMMARY": [{"MHS 5s": 1_500_000.0}]}),
        "version": wire({**described, "VERSION": [{"CGMiner": "4.11.1"}]}),
        "devs": wire({**described, "DEVS": [{"Temperature": 50.0}]}),
        "pools": wire({**described, "POOLS": []}),
    }
    async with scripted_miner(answers_by_command(answers)) as miner:
        reading, learned = await poll(miner.device("somethingelse"), NOTHING, limits)
    assert (reading.outcome, reading.flags) == (Outcome.OK, (Flag.GENERIC_MAPPING,))
    assert (reading.hashrate_5s_ths, reading.board_temp_max_c) == (1.5, 50)
    assert learned.family is Family.GENERIC


async def test_singles_stop_at_the_first_that_is_not_answered(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    refused = wire(REFUSED)
    async with scripted_miner(says(refused, wire(SUMMARY), b"not json", b"")) as miner:
        reading, _ = await poll(miner.device("antminer"), NOTHING, limits)
        asked = [WITH_IDENTITY, "summary", "stats", "pools", "pools"]
        assert miner.commands == asked
    assert (reading.outcome, reading.accepted) == (Outcome.PARTIAL, 5)
