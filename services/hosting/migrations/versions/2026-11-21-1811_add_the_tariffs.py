"""The energy service's tariffs: what machines are expected to cost."""

import sqlalchemy as sa
from alembic import op

from common.migrations import tenant_policy

revision = "h5a1"
down_revision = "h4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "tariff",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("rate_id", sa.Uuid(), nullable=False),
        sa.Column("rate_version", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=True),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("rate_type", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("mean_per_kwh", sa.Numeric(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organisation_id", "rate_id", name=op.f("pk_tariff")),
        schema="hosting",
    )
    tenant_policy("hosting", "tariff")


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("tariff", schema="hosting")
