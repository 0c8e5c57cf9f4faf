from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.domain.curtailment import (
    PLAN_ACTIONS,
    PLAN_TRANSITIONS,
    PlanAction,
    PlanStatus,
    Progress,
    RestorePace,
    Standing,
    UndeclaredTransition,
    acted,
    chore,
    in_batches,
    megawatts_to_watts,
    moved,
    outcome,
    watts_to_megawatts,
)

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
statuses = st.sampled_from(get_args(PlanStatus))
actions = st.sampled_from(get_args(PlanAction))
watts = st.floats(min_value=0, max_value=1e9, allow_nan=False)

# The table of the architecture, written out a second time and by hand.
DECLARED = {
    ("pending", "approved"),
    ("pending", "cancelled"),
    ("approved", "executing"),
    ("approved", "cancelled"),
    ("executing", "executed"),
    ("executing", "partially_executed"),
    ("executing", "failed"),
    ("executing", "restoring"),
    ("executed", "restoring"),
    ("partially_executed", "restoring"),
    ("failed", "restoring"),
    ("restoring", "completed"),
}


@given(status=statuses, wanted=statuses)
def test_only_declared_steps_are_taken(status: PlanStatus, wanted: PlanStatus) -> None:
    if (status, wanted) in DECLARED:
        assert moved(status, wanted) == wanted
    else:
        with pytest.raises(UndeclaredTransition):
            moved(status, wanted)


def test_every_status_has_its_row() -> None:
    assert set(PLAN_TRANSITIONS) == set(get_args(PlanStatus))


@given(status=statuses, action=actions)
def test_actions_take_declared_steps_or_are_refused(status: PlanStatus, action: PlanAction) -> None:
    if status in PLAN_ACTIONS[action]:
        assert acted(status, action) in PLAN_TRANSITIONS[status]
    else:
        with pytest.raises(UndeclaredTransition) as refusal:
            acted(status, action)
        assert status in str(refusal.value)


@given(steps=st.lists(statuses, max_size=12))
def test_a_final_plan_stays_final(steps: list[PlanStatus]) -> None:
    status: PlanStatus = "pending"
    for wanted in steps:
        if wanted in PLAN_TRANSITIONS[status]:
            assert status not in {"completed", "cancelled"}
            status = moved(status, wanted)


def test_six_megawatts_are_six_million_watts() -> None:
    assert megawatts_to_watts(Decimal(6)) == 6_000_000
    assert watts_to_megawatts(6_000_000.4) == Decimal(6)
    assert watts_to_megawatts(1_234_567) == Decimal("1.234567")


@given(
    reported=watts,
    estimated=watts,
    target=st.floats(1, 1e9),
    confirmed=st.integers(0, 10),
    outstanding=st.integers(0, 10),
)
def test_outcome_is_judged_on_the_sum(
    reported: float, estimated: float, target: float, confirmed: int, outstanding: int
) -> None:
    judged = outcome(Progress(reported, estimated, confirmed, outstanding), target)
    if confirmed and reported + estimated >= target:
        assert judged == "executed"
    elif outstanding:
        assert judged is None
    else:
        assert judged == ("partially_executed" if confirmed else "failed")


def test_estimated_watts_count_towards_success() -> None:
    assert outcome(Progress(600, 400, confirmed=2, outstanding=0), 1000) == "executed"
    assert outcome(Progress(600, 399, confirmed=2, outstanding=0), 1000) == "partially_executed"


@given(machines=st.integers(0, 10_000), size=st.integers(1, 1000))
def test_recovery_is_spread_evenly(machines: int, size: int) -> None:
    pace = RestorePace(batch_size=size, interval=timedelta(seconds=30))
    batches = in_batches(range(machines), size)
    assert len(batches) == pace.batches_for(machines)
    assert [item for batch in batches for item in batch] == list(range(machines))
    assert all(len(batch) == size for batch in batches[:-1])
    last = pace.last_batch_at(NOON, machines)
    assert last == NOON + max(len(batches) - 1, 0) * timedelta(seconds=30)
    assert pace.next_at(NOON) == NOON + timedelta(seconds=30)


def standing(**changes: Any) -> Standing:
    values: dict[str, Any] = {
        "status": "executed",
        "scheduled_time": NOON,
        "ends_at": None,
        "next_restore_at": None,
        "watched_at": NOON,
        "miners_affected": 3,
    }
    return Standing(**(values | changes))


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("plan", "due"),
    [
        (standing(status="pending"), None),
        (standing(status="approved"), "start"),
        (standing(status="approved", scheduled_time=NOON + SECOND), None),
        (standing(status="executing"), None),
        (standing(status="executing", ends_at=NOON), "restore"),
        (standing(status="executing", watched_at=NOON - 60 * SECOND), "watch"),
        (standing(), None),
        (standing(ends_at=NOON), "restore"),
        (standing(ends_at=NOON + SECOND), None),
        (standing(watched_at=None), "watch"),
        (standing(watched_at=NOON - 60 * SECOND), "watch"),
        (standing(status="failed", ends_at=NOON), "restore"),
        (standing(status="failed", ends_at=NOON, miners_affected=0), None),
        (standing(status="failed", watched_at=None, miners_affected=0), None),
        (standing(status="restoring"), "wake"),
        (standing(status="restoring", next_restore_at=NOON), "wake"),
        (standing(status="restoring", next_restore_at=NOON + SECOND), None),
        (standing(status="completed", ends_at=NOON), None),
        (standing(status="cancelled", ends_at=NOON), None),
    ],
)
def test_what_is_due(plan: Standing, due: str | None) -> None:
    assert chore(plan, NOON, watch_every=60 * SECOND) == due
