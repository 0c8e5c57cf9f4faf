"""What the treasury publishes. Fields are only ever added; money goes out as decimal strings."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from common.events import Event
from intelligence.domain.proposals import ProposalStatus
from intelligence.treasury.amounts import Btc, Percent, Usd


class TreasuryProposed(Event):
    """Something is proposed to be sold; people decide."""

    type: ClassVar[str] = "intelligence.treasury.proposed.v1"
    aggregate: ClassVar[str] = "proposal_id"

    proposal_id: UUID
    rule_id: UUID | None
    kind: str
    btc: Btc
    price_usd: Usd
    price_source: str
    price_stale: bool
    simulated: bool
    break_even_usd: Usd | None
    margin_percent: Percent | None
    min_price_usd: Usd | None
    value_usd: Usd
    approvals_needed: int
    expires_at: datetime


class TreasuryDecided(Event):
    """A proposal was approved, rejected or cancelled, or has expired."""

    type: ClassVar[str] = "intelligence.treasury.decided.v1"
    aggregate: ClassVar[str] = "proposal_id"

    proposal_id: UUID
    status: ProposalStatus
    decided_by: list[UUID]
    at: datetime


class TreasuryFilled(Event):
    """A sale that was made elsewhere has been recorded."""

    type: ClassVar[str] = "intelligence.treasury.filled.v1"
    aggregate: ClassVar[str] = "proposal_id"

    proposal_id: UUID
    fill_id: UUID
    btc: Btc
    price_usd: Usd
    fee_usd: Usd
    proceeds_usd: Usd
    realised_usd: Usd
    filled_btc: Btc
    status: ProposalStatus
    filled_at: datetime
