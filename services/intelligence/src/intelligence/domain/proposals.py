"""The life of a proposal to sell: proposed, decided by people, filled by hand or not at all."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

ProposalStatus = Literal[
    "proposed", "approved", "rejected", "partially_filled", "filled", "cancelled", "expired"
]

TRANSITIONS: Mapping[ProposalStatus, frozenset[ProposalStatus]] = {
    "proposed": frozenset({"approved", "rejected", "cancelled", "expired"}),
    "approved": frozenset({"partially_filled", "filled", "cancelled", "expired"}),
    "partially_filled": frozenset({"partially_filled", "filled", "cancelled", "expired"}),
    "rejected": frozenset(),
    "filled": frozenset(),
    "cancelled": frozenset(),
    "expired": frozenset(),
}
"""Cancelled or expired in part: what was filled stays, the rest lapses."""

OPEN: frozenset[ProposalStatus] = frozenset({"proposed", "approved", "partially_filled"})


class UndeclaredTransition(Exception):
    """The table has no such step."""

    def __init__(self, status: ProposalStatus, wanted: ProposalStatus) -> None:
        doing = "approved again" if status == wanted == "approved" else wanted.replace("_", " ")
        super().__init__(f"A proposal that is {status.replace('_', ' ')} cannot be {doing}.")
        self.status = status
        self.wanted = wanted


def moved(status: ProposalStatus, wanted: ProposalStatus) -> ProposalStatus:
    """Return the new status, or raise when the table does not declare the step."""
    if wanted not in TRANSITIONS[status]:
        raise UndeclaredTransition(status, wanted)
    return wanted


def status_at(status: ProposalStatus, expires_at: datetime, at: datetime) -> ProposalStatus:
    """Return the status as it is at a moment: an open proposal lapses when its time is over."""
    return "expired" if status in OPEN and at >= expires_at else status


def approvals_needed(
    value_usd: Decimal, limit_usd: Decimal | None, *, price_is_callers: bool
) -> int:
    """Return how many persons must approve: two over the limit, else one.

    Two different persons also means that whoever made the proposal is never the only one. A price
    that the caller brought could be made to fit under any limit, so with a limit it takes two.
    """
    if limit_usd is None:
        return 1
    return 2 if price_is_callers or value_usd > limit_usd else 1


def after_fill(filled_btc: Decimal, proposed_btc: Decimal) -> ProposalStatus:
    """Return the status that a fill leads to."""
    return "filled" if filled_btc == proposed_btc else "partially_filled"
