"""Add indicators and signals."""

import sqlalchemy as sa
from alembic import op

from common.migrations import tenant_policy

revision = "i4a2"
down_revision = "i4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "technical_indicators",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("analytics_id", sa.Uuid(), nullable=False),
        sa.Column("interval", sa.Text(), nullable=False),
        sa.Column("bar_opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rsi", sa.Double[float](), nullable=True),
        sa.Column("macd", sa.Double[float](), nullable=True),
        sa.Column("macd_signal", sa.Double[float](), nullable=True),
        sa.Column("bb_upper", sa.Double[float](), nullable=True),
        sa.Column("bb_middle", sa.Double[float](), nullable=True),
        sa.Column("bb_lower", sa.Double[float](), nullable=True),
        sa.Column("ema_12", sa.Double[float](), nullable=True),
        sa.Column("ema_26", sa.Double[float](), nullable=True),
        sa.Column("score", sa.Double[float](), nullable=False),
        sa.Column("signal", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "signal IN ('BUY', 'SELL', 'NEUTRAL')", name=op.f("ck_technical_indicators_signal")
        ),
        sa.ForeignKeyConstraint(
            ["analytics_id"],
            ["intelligence.market_analytics.id"],
            name=op.f("fk_technical_indicators_analytics_id_market_analytics"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_technical_indicators")),
        sa.UniqueConstraint("analytics_id", name=op.f("uq_technical_indicators_analytics_id")),
        schema="intelligence",
    )
    tenant_policy("intelligence", "technical_indicators", shared=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("technical_indicators", schema="intelligence")
