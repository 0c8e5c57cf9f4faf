"""The slot grid, the anchored clock and the partition of a miner."""

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

from aiokafka.partitioner import (
    murmur2,  # pyright: ignore[reportUnknownVariableType]  (untyped)
)
from hypothesis import given
from hypothesis import strategies as st

from telemetry.domain.partition import PARTITIONS, partition_of
from telemetry.domain.slots import AnchoredClock, Slots


@given(st.uuids(), st.integers(1, 900), st.integers(0, 10**9))
def test_a_turn_lies_inside_its_slot(miner_id: UUID, length_s: int, slot: int) -> None:
    slots = Slots(length_s)
    assert slots.at(slots.due_s(miner_id, slot)) == slot
    assert slots.of(slots.start(slot)) == slot


def test_turns_are_spread_over_the_slot() -> None:
    slots = Slots(60)
    tenths = Counter(int(slots.offset_s(UUID(int=i * 7919)) // 6) for i in range(9000))
    assert set(tenths) == set(range(9))
    assert min(tenths.values()) > 800


def test_slots_begin_at_whole_minutes() -> None:
    assert Slots(60).start(29_000_000) == datetime(2025, 2, 19, 21, 20, tzinfo=UTC)


def test_the_clock_follows_the_database_and_not_this_machine() -> None:
    clock = AnchoredClock(keep_s=300)
    assert not clock.anchored
    clock.anchor(sent_s=10.0, received_s=10.2, database_s=1000.0)
    assert clock.unix_s(10.1) == 1000.0
    clock.anchor(sent_s=20.0, received_s=25.0, database_s=2000.0)
    assert clock.unix_s(10.1) == 1000.0, "a slow answer says less than an older fast one"
    clock.anchor(sent_s=30.0, received_s=30.1, database_s=1019.99)
    assert abs(clock.unix_s(30.05) - 1019.99) < 1e-6
    clock.anchor(sent_s=400.0, received_s=402.0, database_s=1391.0)
    assert clock.unix_s(401.0) == 1391.0, "after a while any answer is better than none"


@given(st.uuids())
def test_the_partition_is_kafkas(miner_id: UUID) -> None:
    key = bytearray(str(miner_id).encode())
    assert partition_of(miner_id) == (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
