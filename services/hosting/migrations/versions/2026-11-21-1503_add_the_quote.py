"""The calculator's last quote: what a fleet is expected to earn."""

import sqlalchemy as sa
from alembic import op

from common.migrations import tenant_policy

revision = "h4a1"
down_revision = "b41f0c6d83aa"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "quote",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("pair", sa.Text(), nullable=False),
        sa.Column("price_usd", sa.Numeric(), nullable=False),
        sa.Column("hashprice_usd_per_ths_day", sa.Numeric(), nullable=False),
        sa.Column("hashprice_btc_per_ths_day", sa.Numeric(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("stale", sa.Boolean(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "pair", name=op.f("pk_quote")),
        schema="hosting",
    )
    tenant_policy("hosting", "quote", shared=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("quote", schema="hosting")
