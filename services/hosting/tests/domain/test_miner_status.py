"""The life of a machine: only what is declared can happen."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosting.domain.miner_status import (
    ACTION_FROM,
    ACTION_TO,
    DEVICE_ACTION,
    PROVEN_STATUS,
    STATUSES,
    TRANSITIONS,
    MinerStatus,
    is_polled,
    may_become,
)
from hosting.miners.models import Miner
from hosting.miners.statuses import StatusConflict, locked, move

statuses = st.sampled_from(STATUSES)


@given(statuses, statuses)
def test_what_is_not_declared_cannot_happen(current: MinerStatus, following: MinerStatus) -> None:
    assert may_become(current, following) == (following in TRANSITIONS[current])


def test_the_table_is_whole() -> None:
    assert set(TRANSITIONS) == set(STATUSES)
    assert all(status not in following for status, following in TRANSITIONS.items())
    assert TRANSITIONS["retired"] == frozenset()
    assert all("retired" in TRANSITIONS[status] for status in STATUSES if status != "retired")
    reached = {status for following in TRANSITIONS.values() for status in following}
    assert reached | {"pending_approval"} == set(STATUSES)


def test_every_order_is_a_declared_transition_and_so_is_its_end() -> None:
    for action, sources in ACTION_FROM.items():
        for source in sources:
            assert may_become(source, ACTION_TO[action])
        assert may_become(ACTION_TO[action], PROVEN_STATUS[DEVICE_ACTION[action]])
        assert "maintenance" not in sources


@given(statuses, st.booleans(), st.booleans())
def test_only_approved_enabled_present_machines_are_polled(
    status: MinerStatus, enabled: bool, removed: bool
) -> None:
    polled = is_polled(status, enabled=enabled, removed=removed)
    assert polled == (enabled and not removed and status not in {"pending_approval", "retired"})


@pytest.mark.parametrize("current", STATUSES)
async def test_an_undeclared_change_is_a_conflict_and_changes_nothing(
    current: MinerStatus,
    new_miner: Callable[..., Awaitable[dict[str, Any]]],
    tenant_session: Callable[..., Any],
) -> None:
    miner_id = UUID((await new_miner())["id"])
    for following in STATUSES:
        async with tenant_session() as session:
            [miner] = await locked(session, [miner_id])
            miner.status = current
            if following in TRANSITIONS[current]:
                await move(session, [miner], following)
                assert miner.status == following
            else:
                with pytest.raises(StatusConflict) as refused:
                    await move(session, [miner], following)
                assert refused.value.status == 409
                assert miner.status == current
    async with tenant_session() as session:
        assert await session.get(Miner, miner_id) is not None
