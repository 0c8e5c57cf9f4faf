"""Add quotes and epochs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import tenant_policy

revision = "c4a1"
down_revision = "06df29e6e153"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "last_reading",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("value", sa.Numeric(precision=40, scale=12), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", "kind", "source", name=op.f("pk_last_reading")),
        schema="calculator",
    )
    _create_quote()
    op.create_table(
        "network_epoch",
        sa.Column("height", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("difficulty", sa.Numeric(precision=40, scale=12), nullable=False),
        sa.Column("bits", sa.BigInteger(), nullable=True),
        sa.Column("subsidy_btc", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("difficulty >= 1", name=op.f("ck_network_epoch_difficulty_possible")),
        sa.CheckConstraint("subsidy_btc >= 0", name=op.f("ck_network_epoch_subsidy_possible")),
        sa.PrimaryKeyConstraint("height", name=op.f("pk_network_epoch")),
        schema="calculator",
    )
    op.create_index(
        "ix_network_epoch_organisation_id",
        "network_epoch",
        ["organisation_id", "height"],
        schema="calculator",
    )
    op.create_index(
        "ix_network_epoch_started_at", "network_epoch", ["started_at"], schema="calculator"
    )
    for table in ("last_reading", "quote", "network_epoch"):
        tenant_policy("calculator", table, shared=True)


def _create_quote() -> None:
    op.create_table(
        "quote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("price_usd", sa.Numeric(precision=20, scale=8), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("difficulty", sa.Numeric(precision=40, scale=12), nullable=False),
        sa.Column("network_hashrate_ehs", sa.Numeric(precision=30, scale=9), nullable=False),
        sa.Column("subsidy_btc", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("fees_btc_per_block", sa.Numeric(precision=16, scale=8), nullable=False),
        sa.Column("hashprice_usd_per_ths_day", sa.Numeric(precision=20, scale=12), nullable=False),
        sa.Column("hashprice_btc_per_ths_day", sa.Numeric(precision=20, scale=16), nullable=False),
        sa.Column("second_price_usd", sa.Numeric(precision=20, scale=8), nullable=True),
        sa.Column("warnings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quote")),
        schema="calculator",
    )
    op.create_index(
        "ix_quote_organisation_id", "quote", ["organisation_id", "id"], schema="calculator"
    )
    op.create_index("ix_quote_published_at", "quote", ["published_at"], schema="calculator")


def downgrade() -> None:
    """Take this revision back."""
    for table in ("network_epoch", "quote", "last_reading"):
        op.drop_table(table, schema="calculator")
