"""Orders: what a miner takes, what it refuses, and what an answer that is lost means."""

import asyncio
import time
from typing import Any

import orjson
import pytest

from simulation.inventory import SIMULATED_PASSWORD
from telemetry.devices.control import ACTIONS, command
from telemetry.devices.device import (
    Action,
    Capabilities,
    CommandResult,
    CommandState,
    Device,
    Limits,
)
from telemetry.devices.families import whatsminer
from telemetry.devices.families.whatsminer_crypto import BadSeal, hash_part, seal, unseal
from telemetry.devices.polling import poll
from telemetry.domain.reading import Family

NOTHING = Capabilities()
SESSION = b'{"STATUS":[{"STATUS":"S","Code":316}],"SESSION":[{"SessionID":"abc"}],"id":1}\0'
TAKEN = b'{"STATUS":[{"STATUS":"S","Code":335,"Msg":"ok"}],"id":1}\0'
NO = b'{"STATUS":[{"STATUS":"E","Code":404,"Msg":"not now"}],"id":1}\0'
CONTROLLED = [Family.LUXOS, Family.WHATSMINER]


def device_of(miner: Any, family: Family) -> Device:
    return Device(miner.address, miner.port, family.value)


@pytest.mark.parametrize("family", CONTROLLED)
async def test_a_miner_sleeps_and_wakes(family: Family, fleet_of: Any, limits: Limits) -> None:
    [miner] = (await fleet_of(1, mix={family.value: 1.0})).miners
    device = device_of(miner, family)
    accepted = CommandResult(CommandState.ACCEPTED)
    assert await command(device, Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits) == accepted
    assert miner.machine.asleep
    assert await command(device, Action.WAKE, SIMULATED_PASSWORD, NOTHING, limits) == accepted
    assert not miner.machine.asleep


@pytest.mark.parametrize("family", CONTROLLED)
async def test_a_reboot_is_taken_or_at_least_not_failed(
    family: Family, fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={family.value: 1.0})).miners
    before = miner.machine.booted_at
    result = await command(
        device_of(miner, family), Action.REBOOT, SIMULATED_PASSWORD, NOTHING, limits
    )
    assert result.state in {CommandState.ACCEPTED, CommandState.ACCEPTED_UNCONFIRMED}
    assert miner.machine.booted_at > before


@pytest.mark.parametrize("family", CONTROLLED)
async def test_a_miner_that_says_no_has_refused(
    family: Family, fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={family.value: 1.0})).miners
    await miner.set_fault("refuse_control")
    result = await command(
        device_of(miner, family), Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits
    )
    assert result.state is CommandState.REFUSED
    assert "refused" in (result.detail or "").lower()
    assert not miner.machine.asleep


@pytest.mark.parametrize("family", CONTROLLED)
@pytest.mark.parametrize("fault", ["refuse", "silent", "empty"])
async def test_a_miner_that_opens_no_conversation_is_unreachable(
    family: Family, fault: str, fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={family.value: 1.0})).miners
    await miner.set_fault(fault)
    result = await command(
        device_of(miner, family), Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits
    )
    assert result.state is CommandState.UNREACHABLE


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("firmware", ["antminer", "generic", None])
async def test_what_cannot_be_commanded_is_not_contacted(
    action: Action, firmware: str | None, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(b"")) as miner:
        result = await command(miner.device(firmware), action, "secret", NOTHING, limits)
        assert miner.requests == []
    assert result.state is CommandState.UNSUPPORTED


def test_each_family_declares_what_it_can_do() -> None:
    everything, nothing = frozenset(Action), frozenset[Action]()
    assert ACTIONS[Family.LUXOS] == ACTIONS[Family.WHATSMINER] == everything
    assert ACTIONS[Family.ANTMINER] == ACTIONS[Family.GENERIC] == nothing


async def test_a_family_that_a_poll_found_out_can_be_commanded(
    fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={"luxos": 1.0})).miners
    device = Device(miner.address, miner.port)
    _, learned = await poll(device, NOTHING, limits)
    result = await command(device, Action.SLEEP, None, learned, limits)
    assert result.state is CommandState.ACCEPTED


# LuxOS


@pytest.mark.parametrize("order", [TAKEN, NO])
async def test_luxos_is_logged_off_whatever_it_answers(
    order: bytes, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(SESSION, order, TAKEN)) as miner:
        await command(miner.device("luxos"), Action.SLEEP, None, NOTHING, limits)
    said = [orjson.loads(request) for request in miner.requests]
    assert said == [
        {"command": "logon"},
        {"command": "curtail", "parameter": "abc,sleep"},
        {"command": "logoff", "parameter": "abc"},
    ]


async def test_a_lost_answer_to_an_order_that_was_sent_is_no_failure(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(SESSION, b"", b"")) as miner:
        result = await command(miner.device("luxos"), Action.SLEEP, None, NOTHING, limits)
    assert result.state is CommandState.ACCEPTED_UNCONFIRMED


@pytest.mark.parametrize(
    "logon",
    [
        NO,
        TAKEN,
        b'{"SESSION":[{"SessionID":5}]}\0',
        b'{"SESSION":"x"}\0',
        b"SSH-2.0-x\r\n",
        b"[1]\0",
    ],
)
async def test_without_a_session_luxos_gets_no_order(
    logon: bytes, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(logon)) as miner:
        result = await command(miner.device("luxos"), Action.SLEEP, None, NOTHING, limits)
        assert len(miner.requests) == 1
    assert result.state is CommandState.REFUSED


async def test_a_bare_goodbye_is_a_yes(scripted_miner: Any, says: Any, limits: Limits) -> None:
    async with scripted_miner(says(SESSION, b'{"STATUS":"RESTART","id":1}\0')) as miner:
        result = await command(miner.device("luxos"), Action.REBOOT, None, NOTHING, limits)
        assert len(miner.requests) == 2  # the session goes down with the machine
    assert result.state is CommandState.ACCEPTED


# WhatsMiner


async def test_without_a_credential_whatsminer_is_not_contacted(
    scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(b"")) as miner:
        result = await command(miner.device("whatsminer"), Action.SLEEP, None, NOTHING, limits)
        assert miner.requests == []
    assert result.state is CommandState.REFUSED


async def test_a_wrong_password_is_refused_and_never_repeated_in_the_detail(
    fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={"whatsminer": 1.0})).miners
    device = device_of(miner, Family.WHATSMINER)
    result = await command(device, Action.SLEEP, "guessed-word", NOTHING, limits)
    assert result.state in {CommandState.REFUSED, CommandState.ACCEPTED_UNCONFIRMED}
    assert "guessed-word" not in (result.detail or "")
    assert not miner.machine.asleep


async def test_a_token_is_used_again_until_it_is_old(fleet_of: Any, limits: Limits) -> None:
    fleet = await fleet_of(1, mix={"whatsminer": 1.0})
    [miner] = fleet.miners
    device = device_of(miner, Family.WHATSMINER)
    for _ in range(3):
        await command(device, Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits)
    assert miner.traffic.requests == 1 + 3


async def test_a_token_the_miner_has_forgotten_is_renewed_once(
    fleet_of: Any, limits: Limits
) -> None:
    [miner] = (await fleet_of(1, mix={"whatsminer": 1.0})).miners
    device = device_of(miner, Family.WHATSMINER)
    await command(device, Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits)
    miner.firmware._tokens.clear()
    result = await command(device, Action.WAKE, SIMULATED_PASSWORD, NOTHING, limits)
    assert result.state is CommandState.ACCEPTED
    assert miner.traffic.requests == 2 + 3


async def test_a_token_is_forgotten_with_a_reboot(fleet_of: Any, limits: Limits) -> None:
    """By our own order, or when the power was cut: the miner's salt is then another one."""
    [miner] = (await fleet_of(1, mix={"whatsminer": 1.0}, ramp_s=0.03)).miners
    device = device_of(miner, Family.WHATSMINER)
    for action in (Action.SLEEP, Action.REBOOT, Action.SLEEP):
        result = await command(device, action, SIMULATED_PASSWORD, NOTHING, limits)
        assert result.state is CommandState.ACCEPTED, action
        await asyncio.sleep(0.1)  # it is away for a moment after a reboot
    miner.firmware.reboot({}, time.time())
    await asyncio.sleep(0.1)
    result = await command(device, Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits)
    assert result.state is CommandState.ACCEPTED
    assert miner.machine.asleep


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"STATUS":"E","Code":136,"Msg":"over max connect"}\0', "over max connect"),
        (b'{"STATUS":"E","Code":45,"Msg":"Access denied"}\0', "write API is disabled"),
        (b'{"STATUS":"S","Code":134,"Msg":{"salt":"$$","newsalt":"","time":"1"}}\0', "no sense"),
        (b'{"STATUS":"S","Code":134,"Msg":{"salt":[1]}}\0', "no sense"),
        (b'{"STATUS":"S","Code":134,"Msg":{"salt":"a"}}\0', "no sense"),
        (b'{"STATUS":"S","Code":134,"Msg":["a"]}\0', "no sense"),
        (b'{"STATUS":"S","Code":134,"Msg":"text"}\0', "no sense"),
        (b'{"STATUS":"S","Code":134}\0', "no sense"),
    ],
)
async def test_a_token_that_is_not_given_is_refused(
    answer: bytes, words: str, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    async with scripted_miner(says(answer)) as miner:
        result = await command(miner.device("whatsminer"), Action.SLEEP, "pw", NOTHING, limits)
    assert result.state is CommandState.REFUSED
    assert words in (result.detail or "")


@pytest.mark.parametrize("sealed", ["", "====", "bm90IHdob2xlIGJsb2Nrcw==", "é"])
async def test_an_answer_that_cannot_be_opened_is_unconfirmed(
    sealed: str, scripted_miner: Any, says: Any, limits: Limits
) -> None:
    token = b'{"STATUS":"S","Code":134,"Msg":{"salt":"abc","newsalt":"def","time":"1"}}\0'
    answer = orjson.dumps({"enc": sealed}) + b"\0"
    async with scripted_miner(says(token, answer)) as miner:
        result = await command(miner.device("whatsminer"), Action.SLEEP, "pw", NOTHING, limits)
    assert result.state is CommandState.ACCEPTED_UNCONFIRMED


def test_the_hash_is_the_well_known_one_and_bodies_come_back() -> None:
    assert hash_part("admin", "BQ5hoXV9") == "RxmaDUO33TS7O26yeMHZ81"
    assert unseal("key", seal("key", b"{}" * 20)) == b"{}" * 20
    with pytest.raises(BadSeal):
        unseal("key", "AAAA")


async def test_tokens_kept_are_bounded(
    monkeypatch: pytest.MonkeyPatch, fleet_of: Any, limits: Limits
) -> None:
    monkeypatch.setattr(whatsminer, "MOST_TOKENS", 2)
    kept: dict[Any, Any] = {}
    monkeypatch.setattr(whatsminer, "_tokens", kept)
    fleet = await fleet_of(4, mix={"whatsminer": 1.0})
    orders = [
        command(device_of(m, Family.WHATSMINER), Action.SLEEP, SIMULATED_PASSWORD, NOTHING, limits)
        for m in fleet.miners
    ]
    assert {result.state for result in await asyncio.gather(*orders)} == {CommandState.ACCEPTED}
    assert len(kept) == 2
