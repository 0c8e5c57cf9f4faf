"""The tables of the savings ledger: what was stopped, and what came of it."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from common.db import ClientOwned, Tenant
from common.ids import new_id
from energy.db import Base

_MONEY = Numeric(20, 6)


class CurtailmentPlan(Tenant, Base):
    """Read model of hosting's plans, as far as a saving needs it."""

    __tablename__ = "curtailment_plan"
    __table_args__ = (
        Index("ix_curtailment_plan_organisation_id", "organisation_id", "id"),
        Index("ix_curtailment_plan_due", "id", postgresql_where=text("due")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    site_id: Mapped[UUID]
    plan_type: Mapped[str | None]
    """None until hosting has told of the plan: telemetry may be heard first."""
    status: Mapped[str | None]
    at: Mapped[datetime]
    """Of the newest event heard."""
    over_at: Mapped[datetime | None]
    """When hosting called it completed, cancelled or failed with nothing down."""
    due: Mapped[bool]
    """Whether figures may still change."""
    version: Mapped[int] = mapped_column(BigInteger)


class CurtailedMachine(Tenant, Base):
    """A machine that a plan has stopped, from the proof of sleep to the order to wake."""

    __tablename__ = "curtailed_machine"
    __table_args__ = (
        Index("ix_curtailed_machine_plan_id", "plan_id", "miner_id"),
        Index("ix_curtailed_machine_organisation_id", "organisation_id", "site_id", "stopped_at"),
    )

    command_id: Mapped[UUID] = mapped_column(primary_key=True)
    """Of the order to sleep: a plan may give it twice to one machine."""
    plan_id: Mapped[UUID]
    miner_id: Mapped[UUID]
    site_id: Mapped[UUID]
    stopped_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    power_before_w: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    power_after_w: Mapped[Decimal | None] = mapped_column(Numeric(14, 3))
    estimated: Mapped[bool]
    """Whether the watts follow from a nameplate rather than from a reading."""


class Saving(ClientOwned, Base):
    """One line of the ledger: a plan or a shift as a whole, or one client's part in a plan."""

    __tablename__ = "saving"
    __table_args__ = (
        Index(
            "uq_saving_source_id",
            "source_id",
            "scope",
            "client_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_saving_organisation_id", "organisation_id", "site_id", "starts_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    """`curtailment` or `shift`."""
    source_id: Mapped[UUID]
    """Of the plan; of a shift its own id."""
    scope: Mapped[str]
    """`site` or `client`."""
    site_id: Mapped[UUID]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    state: Mapped[str]
    """`running`, `provisional` or `final`."""
    machines: Mapped[int | None]
    avoided_kwh: Mapped[Decimal | None] = mapped_column(_MONEY)
    currency: Mapped[str | None]
    energy_cost_avoided: Mapped[Decimal | None] = mapped_column(_MONEY)
    other_cost_avoided: Mapped[Decimal | None] = mapped_column(_MONEY)
    """Demand, tiers, taxes: what the whole bill would have had more beside the energy's price."""
    cost_avoided: Mapped[Decimal | None] = mapped_column(_MONEY)
    btc_not_mined: Mapped[Decimal | None] = mapped_column(Numeric(24, 12))
    revenue_lost_usd: Mapped[Decimal | None] = mapped_column(_MONEY)
    cost_avoided_usd: Mapped[Decimal | None] = mapped_column(_MONEY)
    net_usd: Mapped[Decimal | None] = mapped_column(_MONEY)
    reasons: Mapped[list[str]]
    """Why something above is null, as codes."""
    baseline: Mapped[dict[str, Any]]
    provenance: Mapped[dict[str, Any]]
    simulated: Mapped[bool]
    settled_at: Mapped[datetime]
