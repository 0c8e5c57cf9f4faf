from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.domain.curtailment_target import (
    SETTLED,
    TARGET_TRANSITIONS,
    UNTOUCHED,
    CommandState,
    DesiredState,
    Step,
    TargetState,
    miner_status,
    needs_wake,
    stop_answered,
    wake_answered,
)

states = st.sampled_from(get_args(TargetState))
answers = st.sampled_from(get_args(CommandState))


def test_every_state_has_its_row() -> None:
    assert set(TARGET_TRANSITIONS) == set(get_args(TargetState))


@given(state=states, answer=answers, may_be_down=st.booleans())
def test_an_answer_to_a_stop_takes_declared_steps(
    state: TargetState, answer: CommandState, may_be_down: bool
) -> None:
    step = stop_answered(state, may_be_down, answer)
    if step is not None:
        assert step.state in TARGET_TRANSITIONS[state]
        assert step.may_be_down == (may_be_down and answer not in UNTOUCHED)


@given(state=states, answer=answers, tries_left=st.integers(0, 3))
def test_an_answer_to_a_wake_takes_declared_steps(
    state: TargetState, answer: CommandState, tries_left: int
) -> None:
    step = wake_answered(state, answer, tries_left)
    if step is None:
        return
    if step.wake_again:
        assert tries_left > 0
        assert step.state == state
        return
    assert step.state in TARGET_TRANSITIONS[state]
    assert step.may_be_down == (step.state != "resolved")


@given(st.lists(answers, max_size=12))
def test_answers_in_any_order_never_lose_a_machine(answered: list[CommandState]) -> None:
    """A machine that may be down is always woken, whatever the field says and however often."""
    state: TargetState = "dispatching"
    may_be_down = True
    for answer in answered:
        step = stop_answered(state, may_be_down, answer)
        if step is not None:
            state, may_be_down = step.state, step.may_be_down
    assert state not in SETTLED
    assert needs_wake(state, may_be_down=may_be_down) == may_be_down


def test_the_ordinary_way() -> None:
    assert stop_answered("dispatching", True, "accepted") == Step("dispatched", may_be_down=True)
    assert stop_answered("dispatched", True, "verified") == Step("confirmed", may_be_down=True)
    assert wake_answered("dispatching", "accepted", 2) == Step("dispatched", may_be_down=True)
    assert wake_answered("dispatched", "verified", 2) == Step("resolved", may_be_down=False)


def test_a_lost_answer_is_no_failure() -> None:
    assert stop_answered("dispatched", True, "unverified") == Step("unavailable", may_be_down=True)
    assert stop_answered("unavailable", True, "verified") == Step("confirmed", may_be_down=True)


def test_a_refusing_machine_is_not_woken() -> None:
    refused = stop_answered("dispatching", True, "refused")
    assert refused == Step("unavailable", may_be_down=False)
    assert not needs_wake("unavailable", may_be_down=False)


def test_a_failed_wake_is_tried_again_then_given_up() -> None:
    again = Step("dispatched", may_be_down=True, wake_again=True)
    assert wake_answered("dispatched", "unverified", 1) == again
    given_up = Step("restore_failed", may_be_down=True)
    assert wake_answered("dispatched", "unverified", 0) == given_up
    by_itself = Step("resolved", may_be_down=False)
    assert wake_answered("restore_failed", "verified", 0) == by_itself


@pytest.mark.parametrize(
    ("desired", "state", "may_be_down", "shown"),
    [
        ("curtailed", "dispatching", True, None),
        ("curtailed", "dispatched", True, "stopping"),
        ("curtailed", "confirmed", True, "curtailed"),
        ("curtailed", "unavailable", True, "stopping"),
        ("curtailed", "unavailable", False, "active"),
        ("active", "dispatched", True, "starting"),
        ("active", "resolved", False, "active"),
        ("active", "restore_failed", True, "curtailed"),
    ],
)
def test_the_machine_shows_where_its_target_stands(
    desired: DesiredState, state: TargetState, may_be_down: bool, shown: str | None
) -> None:
    assert miner_status(desired, state, may_be_down=may_be_down) == shown
