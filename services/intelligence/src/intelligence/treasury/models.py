"""Tables of the treasury: what is held, what is proposed, what was sold by hand."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import Tenant
from common.ids import new_id
from intelligence.db import Base
from intelligence.domain.lots import CostBasis
from intelligence.domain.proposals import ProposalStatus

BTC = Numeric(20, 8)
USD = Numeric(24, 6)
RATIO = Numeric(18, 6)


class TreasurySetting(Tenant, Base):
    """What an organisation has settled: cost basis, limit, and what its power costs."""

    __tablename__ = "treasury_setting"

    organisation_id: Mapped[UUID] = mapped_column(primary_key=True)
    cost_basis: Mapped[str] = mapped_column(default=CostBasis.FIFO.value)
    approval_limit_usd: Mapped[Decimal | None] = mapped_column(USD)
    power_bill_usd_per_day: Mapped[Decimal | None] = mapped_column(USD)
    btc_mined_per_day: Mapped[Decimal | None] = mapped_column(BTC)
    hashrate_ths: Mapped[Decimal | None] = mapped_column(Numeric(18, 3))
    break_even_usd_per_btc: Mapped[Decimal | None] = mapped_column(USD)
    updated_at: Mapped[datetime]


class Wallet(Tenant, Base):
    """A place that holds bitcoin, or an account that holds money."""

    __tablename__ = "treasury_wallet"
    __table_args__ = (UniqueConstraint("organisation_id", "name"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    kind: Mapped[str]
    address: Mapped[str | None]
    balance_usd: Mapped[Decimal | None] = mapped_column(USD)
    """Of an account; a wallet's balance is the sum of its lots."""
    balance_at: Mapped[datetime | None]
    archived: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Lot(Tenant, Base):
    """Bitcoin received at one moment at one price, and what is left of it."""

    __tablename__ = "treasury_lot"
    __table_args__ = (
        UniqueConstraint("organisation_id", "reference"),
        Index("ix_treasury_lot_received", "organisation_id", "received_at", "id"),
        Index(
            "ix_treasury_lot_open",
            "organisation_id",
            "wallet_id",
            postgresql_where=text("remaining_btc > 0"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    wallet_id: Mapped[UUID] = mapped_column(ForeignKey(Wallet.id))
    received_at: Mapped[datetime]
    btc: Mapped[Decimal] = mapped_column(BTC)
    price_usd: Mapped[Decimal] = mapped_column(USD)
    price_source: Mapped[str]
    cost_usd: Mapped[Decimal] = mapped_column(USD)
    remaining_btc: Mapped[Decimal] = mapped_column(BTC)
    remaining_cost_usd: Mapped[Decimal] = mapped_column(USD)
    source: Mapped[str]
    reference: Mapped[str | None]
    """Transaction or payout id: the same payout never becomes two lots."""
    simulated: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class SellRule(Tenant, Base):
    """A rule that proposes to sell."""

    __tablename__ = "treasury_rule"
    __table_args__ = (
        Index(
            "uq_treasury_rule_name",
            "organisation_id",
            "name",
            unique=True,
            postgresql_where=text("NOT removed"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    name: Mapped[str]
    kind: Mapped[str]
    parameters: Mapped[dict[str, Any]]
    wallet_id: Mapped[UUID | None] = mapped_column(ForeignKey(Wallet.id))
    enabled: Mapped[bool] = mapped_column(default=True)
    automatic: Mapped[bool] = mapped_column(default=False)
    """Whether it proposes by itself, on a schedule."""
    removed: Mapped[bool] = mapped_column(default=False)
    steps_done: Mapped[list[Any]] = mapped_column(default=list)
    last_proposed_at: Mapped[datetime | None]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Proposal(Tenant, Base):
    """What is proposed to be sold, and on what grounds. Nothing here sells."""

    __tablename__ = "treasury_proposal"
    __table_args__ = (
        Index("ix_treasury_proposal_organisation_id", "organisation_id", "id"),
        Index(
            "ix_treasury_proposal_open",
            "expires_at",
            postgresql_where=text("status IN ('proposed', 'approved', 'partially_filled')"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    rule_id: Mapped[UUID | None] = mapped_column(ForeignKey(SellRule.id), index=True)
    wallet_id: Mapped[UUID | None] = mapped_column(ForeignKey(Wallet.id))
    kind: Mapped[str]
    status: Mapped[ProposalStatus]
    btc: Mapped[Decimal] = mapped_column(BTC)
    filled_btc: Mapped[Decimal] = mapped_column(BTC, default=Decimal(0))
    price_usd: Mapped[Decimal] = mapped_column(USD)
    price_source: Mapped[str]
    price_at: Mapped[datetime]
    price_stale: Mapped[bool]
    price_simulated: Mapped[bool]
    sizing_price_usd: Mapped[Decimal | None] = mapped_column(USD)
    break_even_usd: Mapped[Decimal | None] = mapped_column(USD)
    break_even_source: Mapped[str]
    margin_percent: Mapped[Decimal | None] = mapped_column(RATIO)
    min_price_usd: Mapped[Decimal | None] = mapped_column(USD)
    value_usd: Mapped[Decimal] = mapped_column(USD)
    reason: Mapped[str]
    missing: Mapped[list[Any]]
    steps: Mapped[list[Any]]
    approvals_needed: Mapped[int]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)


class Decision(Tenant, Base):
    """One person's word on a proposal."""

    __tablename__ = "treasury_decision"

    proposal_id: Mapped[UUID] = mapped_column(ForeignKey(Proposal.id), primary_key=True)
    person_id: Mapped[UUID] = mapped_column(primary_key=True)
    verdict: Mapped[str]
    note: Mapped[str | None]
    at: Mapped[datetime]


class Fill(Tenant, Base):
    """A sale that somebody made elsewhere, as it was recorded."""

    __tablename__ = "treasury_fill"
    __table_args__ = (
        UniqueConstraint("organisation_id", "txid"),
        Index("ix_treasury_fill_organisation_id", "organisation_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    proposal_id: Mapped[UUID] = mapped_column(ForeignKey(Proposal.id), index=True)
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey(Wallet.id))
    txid: Mapped[str | None]
    btc: Mapped[Decimal] = mapped_column(BTC)
    price_usd: Mapped[Decimal] = mapped_column(USD)
    fee_usd: Mapped[Decimal] = mapped_column(USD)
    proceeds_usd: Mapped[Decimal] = mapped_column(USD)
    cost_usd: Mapped[Decimal] = mapped_column(USD)
    realised_usd: Mapped[Decimal] = mapped_column(USD)
    cost_basis: Mapped[str]
    below_min_price: Mapped[bool]
    filled_at: Mapped[datetime]
    recorded_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class Disposal(Tenant, Base):
    """What a fill took from one lot, and what that had cost."""

    __tablename__ = "treasury_disposal"

    fill_id: Mapped[UUID] = mapped_column(ForeignKey(Fill.id), primary_key=True)
    lot_id: Mapped[UUID] = mapped_column(ForeignKey(Lot.id), primary_key=True, index=True)
    btc: Mapped[Decimal] = mapped_column(BTC)
    cost_usd: Mapped[Decimal] = mapped_column(USD)


class StoredBacktest(Tenant, Base):
    """What was asked of a back-test, and what came out."""

    __tablename__ = "treasury_backtest"
    __table_args__ = (Index("ix_treasury_backtest_organisation_id", "organisation_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    job_id: Mapped[UUID | None]
    request: Mapped[dict[str, Any]]
    result: Mapped[dict[str, Any] | None]
    created_by: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
