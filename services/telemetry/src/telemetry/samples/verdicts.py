"""Verdicts on machines, written with the samples that led to them, announced once per transition.

The database has the last word on what is a transition: two workers that see the same one (a
takeover, a repeat after a lost commit) announce it once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from common.ids import new_id
from telemetry.alerts.events import AlertCleared, AlertFired
from telemetry.db import Outbox
from telemetry.domain.alarm import Rule, Watch
from telemetry.fleet.machine import Machine
from telemetry.samples.events import CameOnline, WentOffline

_ONLINE = text(
    "UPDATE telemetry.miner_state s SET online = t.online "
    "FROM (SELECT unnest(CAST(:ids AS uuid[])) AS id, unnest(CAST(:online AS bool[])) AS online) t,"
    " (SELECT miner_id, online FROM telemetry.miner_state WHERE miner_id = ANY(:ids) FOR UPDATE) w "
    "WHERE s.miner_id = t.id AND w.miner_id = t.id AND w.online IS DISTINCT FROM t.online "
    "RETURNING s.miner_id, s.online, w.online AS before"
)
_FIRE = text(
    "INSERT INTO telemetry.alert (id, organisation_id, client_id, miner_id, site_id, rule, "
    "severity, value, threshold, fired_at) VALUES (:id, :organisation_id, :client_id, :miner_id, "
    ":site_id, :rule, :severity, :value, :threshold, :at) ON CONFLICT DO NOTHING RETURNING id"
)
_CLEAR = text(
    "UPDATE telemetry.alert SET cleared_at = :at WHERE miner_id = :miner_id AND rule = :rule "
    "AND cleared_at IS NULL RETURNING id"
)
_LET_GO = text(
    "UPDATE telemetry.alert a SET cleared_at = now() FROM telemetry.miner m "
    "WHERE m.id = a.miner_id AND a.cleared_at IS NULL AND (m.removed OR NOT m.polled) "
    "AND m.partition = ANY(:partitions) RETURNING a.id AS alert_id, a.organisation_id, "
    "a.miner_id, a.site_id, a.rule, a.severity, a.value, a.threshold, a.cleared_at AS at"
)
_START_OVER = text(
    "UPDATE telemetry.miner_state s SET watches = '{}' FROM telemetry.miner m "
    "WHERE m.id = s.miner_id AND s.watches <> '{}' AND (m.removed OR NOT m.polled) "
    "AND m.partition = ANY(:partitions)"
)


async def let_go(session: AsyncSession, partitions: list[int]) -> None:
    """Clear the alerts of machines that are no longer polled.

    Whether they were online is kept: a machine that went offline before it was switched off is
    announced as online when it answers again.
    """
    rows = await session.execute(_LET_GO, {"partitions": partitions})
    for row in rows.mappings():
        session.add(Outbox.of(AlertCleared(**row)))
    await session.execute(_START_OVER, {"partitions": partitions})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is thought of a machine at the moment of writing; polling may go on meanwhile."""

    machine: Machine
    at: datetime
    online: bool | None
    firing: frozenset[str]
    """Names of the rules that fire."""


def verdict(machine: Machine, rules: Iterable[str]) -> Verdict:
    """Return the present verdict on a machine."""
    assert machine.sampled_at is not None, "a verdict follows from a sample"
    firing = frozenset(name for name in rules if machine.watches.get(name, Watch()).firing)
    return Verdict(machine, machine.sampled_at, machine.presence.online, firing)


async def write_verdicts(
    session: AsyncSession, verdicts: Iterable[Verdict], rules: dict[str, Rule]
) -> None:
    """Write what has changed about these machines, with its events."""
    verdicts = list(verdicts)
    await _write_presence(session, [v for v in verdicts if _presence_changed(v)])
    for found in verdicts:
        for name in sorted(found.firing ^ found.machine.stored_alerts):
            if name in rules:
                await _write_alert(session, found, rules[name])


def confirm(verdicts: Iterable[Verdict]) -> None:
    """Note that these verdicts are stored: called after the commit."""
    for stored in verdicts:
        if stored.online is not None:
            stored.machine.stored_online = stored.online
        stored.machine.stored_alerts = set(stored.firing)


def _presence_changed(found: Verdict) -> bool:
    return found.online is not None and found.online != found.machine.stored_online


async def _write_presence(session: AsyncSession, verdicts: list[Verdict]) -> None:
    if not verdicts:
        return
    mine = {found.machine.id: found for found in verdicts}
    parameters: dict[str, list[Any]] = {
        "ids": list(mine),
        "online": [found.online for found in verdicts],
    }
    for row in (await session.execute(_ONLINE, parameters)).mappings():
        found = mine[row["miner_id"]]
        if row["online"] and row["before"] is None:
            continue  # its first answer ever: it came from nowhere, not from being offline
        kind = CameOnline if row["online"] else WentOffline
        event = kind(
            organisation_id=found.machine.organisation_id,
            miner_id=found.machine.id,
            site_id=found.machine.site.id,
            timestamp=found.at,
        )
        session.add(Outbox.of(event))


async def _write_alert(session: AsyncSession, found: Verdict, rule: Rule) -> None:
    machine, fires = found.machine, rule.name in found.firing
    value, threshold = machine.alarm_values.get(rule.name, (None, None))
    known: dict[str, Any] = {
        "organisation_id": machine.organisation_id,
        "miner_id": machine.id,
        "site_id": machine.site.id,
        "rule": rule.name,
        "severity": rule.severity,
        "value": value,
        "threshold": threshold,
        "at": found.at,
    }
    new = {"id": new_id(), "client_id": machine.client_id}
    alert_id: UUID | None = await session.scalar(_FIRE if fires else _CLEAR, known | new)
    if alert_id is not None:
        kind = AlertFired if fires else AlertCleared
        session.add(Outbox.of(kind(alert_id=alert_id, **known)))
