"""At least once on the wire, exactly once in effect: repeats, poison and a relay that dies."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.books import STRANGER, Books, Witness
from tests.running import PATIENCE_S, Record, System, eventually

from common.ids import new_id
from common.postgres import Connection, connect
from launcher.installation import DATABASE

pytestmark = [pytest.mark.e2e, pytest.mark.kafka]
_LOCK = 4_711
_RELAY = "hosting-relay"


def _effects(system: System) -> dict[str, int]:
    """Count what events have caused, in every service that reacts to any."""
    counted = (
        "telemetry.command",
        "telemetry.curtailment_interval",
        "telemetry.miner",
        "hosting.curtailment_target",
        "hosting.incident",
        "hosting.outbox",
        "telemetry.outbox",
        "hosting.inbox",
        "telemetry.inbox",
    )
    return {name: system.sql(f"SELECT count(*) FROM {name}")[0][0] for name in counted}


def test_repeated_events_change_nothing(whole: System) -> None:
    """Everything that was ever said is said again, three times over."""
    plan_id = whole.order(0.02)["id"]
    whole.all_confirmed(plan_id)
    whole.restore(plan_id)
    whole.plan_becomes(plan_id, "completed")
    whole.fleet_hashes()
    Books(whole).agree()
    topics = ("hosting.curtailment.v1", "hosting.command.v1", "telemetry.command.v1")
    said = whole.records(*topics)
    before, plan = _effects(whole), whole.plan(plan_id)
    with Witness(whole) as witness:
        whole.produce([*said, *reversed(said), *said])
        # A new plan of the same kind passes behind all of the repeats.
        after = whole.order(0.01)["id"]
        whole.all_confirmed(after)
        stopped = whole.addresses_of(whole.plan(after))
        assert witness.changes() == dict.fromkeys(stopped, 1)
        whole.restore(after)
        whole.plan_becomes(after, "completed")
    assert whole.plan(plan_id) == plan
    commands = 2 * len(stopped)
    assert _effects(whole)["telemetry.command"] == before["telemetry.command"] + commands


def test_poison_is_put_aside_and_what_follows_is_handled(whole: System) -> None:
    """Not JSON, not our schema, no envelope, of a later major: none is in the others' way."""
    template = whole.records("telemetry.miner-state.v1", "hosting.miner.v1")[-1].headers
    miner = whole.miners()[0]
    headers: dict[str, str] = {
        **template,
        "ce_source": STRANGER,
        "ce_type": "telemetry.miner-state.went-offline.v1",
        "ce_tenant": whole.stack.demo["organisation_id"],
    }
    poison: dict[str, tuple[dict[str, str], bytes]] = {
        "not JSON": (headers, b'{"miner_id": '),
        "not the schema": (headers, json.dumps({"miner_id": "seven"}).encode()),
        "not an object": (headers, b"[]"),
        "a later major": ({**headers, "ce_type": f"{headers['ce_type'][:-1]}2"}, b'{"new": 1}'),
        "no envelope": ({}, b"hello"),
    }
    records = [
        Record(
            topic="telemetry.miner-state.v1",
            partition=0,
            position=0,
            key=miner["id"],
            headers={**chosen, "ce_id": str(new_id())} if chosen else {},
            value=value,
        )
        for chosen, value in poison.values()
    ]
    unreadable = {record.headers["ce_id"] for record in records[:4]}
    before = len(_buried(whole))
    whole.produce(records)

    def are_buried() -> bool:
        return len(_buried(whole)) == before + 5

    eventually(are_buried, "poison is in the dead letters")
    buried = _buried(whole)[before:]
    assert {row["event_id"] for row in buried} >= unreadable
    assert Counter(row["reason"] for row in buried) == {
        "invalid": 3,
        "unsupported-major": 1,
        "undecodable": 1,
    }
    # What follows on the same key is handled.
    index = whole.truth()[miner["cgminer_ip"]]["index"]
    whole.control.set_fault("silent", miners=[index])
    try:
        path = f"/api/hosting/miners/{miner['id']}"
        eventually(lambda: whole.api().get(path)["status"] == "offline", "it is offline")
    finally:
        whole.control.clear_faults()
    whole.fleet_hashes()


def _buried(system: System) -> list[dict[str, Any]]:
    rows = system.sql("SELECT event_id::text, reason FROM hosting.dead_letter ORDER BY died_at")
    return [dict(row) for row in rows]


def test_a_relay_that_dies_between_send_and_mark_repeats_itself(whole: System) -> None:
    """The orders are on the broker and not marked as sent when hosting is killed."""
    plan_id = asyncio.run(_kill_between_send_and_mark(whole))
    whole.all_confirmed(plan_id)
    whole.restore(plan_id)
    whole.plan_becomes(plan_id, "completed")
    records = whole.records("hosting.curtailment.v1")
    copies = Counter(record.event_id for record in records if record.key == plan_id)
    assert max(copies.values()) == 2


async def _kill_between_send_and_mark(system: System) -> str:
    """Order a reduction, and kill hosting in between; return the plan."""
    installation = system.stack.installation
    postgres = installation.infrastructure.postgres
    dsn = postgres.dsn_of("postgres", postgres.password, DATABASE)
    superuser = await connect(dsn)
    try:
        async with _marking_waits(superuser):
            plan = await asyncio.to_thread(system.order, 0.02)
            relay = await _waiting_relay(superuser)
            assert any(
                record.key == plan["id"]
                for record in await asyncio.to_thread(system.records, "hosting.curtailment.v1")
            )
            system.stack.kill("hosting", signal.SIGKILL)
            # The server does not know of the death yet and would still carry the mark out.
            await superuser.execute("SELECT pg_terminate_backend($1)", relay)
            return plan["id"]
    finally:
        await superuser.close()


@asynccontextmanager
async def _marking_waits(superuser: Connection) -> AsyncGenerator[None]:
    """Let every mark in hosting's outbox wait for us."""
    await superuser.execute(
        "CREATE FUNCTION hosting.wait_for_test() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({_LOCK}); RETURN NULL; END $$"
    )
    await superuser.execute(
        "CREATE TRIGGER wait_for_test BEFORE UPDATE ON hosting.outbox FOR EACH STATEMENT "
        "EXECUTE FUNCTION hosting.wait_for_test()"
    )
    await superuser.execute(f"SELECT pg_advisory_lock({_LOCK})")
    try:
        yield
    finally:
        await superuser.execute(f"SELECT pg_advisory_unlock({_LOCK})")
        await superuser.execute("DROP TRIGGER wait_for_test ON hosting.outbox")
        await superuser.execute("DROP FUNCTION hosting.wait_for_test()")


async def _waiting_relay(superuser: Connection) -> int:
    """Wait until the relay has sent and wants to mark; return its backend."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        found = await superuser.fetchval(
            "SELECT pid FROM pg_stat_activity WHERE application_name = $1 "
            "AND wait_event_type = 'Lock' AND wait_event = 'advisory'",
            _RELAY,
        )
        if found is not None:
            return int(found)
        assert time.monotonic() < ends, "the relay does not come to mark"
        await asyncio.sleep(0.05)
