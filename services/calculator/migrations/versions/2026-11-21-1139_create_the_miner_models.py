"""Create the miner models, and the tables that every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "06df29e6e153"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("calculator")
    op.create_table(
        "miner_model",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("manufacturer", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hashrate_ths", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("power_w", sa.Numeric(precision=12, scale=3), nullable=False),
        sa.Column("cooling", sa.Text(), nullable=False),
        sa.Column("released_year", sa.SmallInteger(), nullable=True),
        sa.Column("catalogue_name", sa.Text(), nullable=True),
        sa.Column("catalogue_digest", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "cooling IN ('air', 'hydro', 'immersion')", name=op.f("ck_miner_model_cooling_known")
        ),
        sa.CheckConstraint("hashrate_ths > 0", name=op.f("ck_miner_model_hashrate_positive")),
        sa.CheckConstraint("power_w > 0", name=op.f("ck_miner_model_power_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_miner_model")),
        schema="calculator",
    )
    op.create_index(
        "ix_miner_model_organisation_id",
        "miner_model",
        ["organisation_id", "id"],
        unique=False,
        schema="calculator",
    )
    op.create_index(
        "uq_miner_model_catalogue_name",
        "miner_model",
        ["catalogue_name"],
        unique=True,
        schema="calculator",
        postgresql_where=sa.text("catalogue_name IS NOT NULL"),
    )
    op.create_table(
        "miner_model_name",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id"],
            ["calculator.miner_model.id"],
            name=op.f("fk_miner_model_name_model_id_miner_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("organisation_id", "name", name=op.f("pk_miner_model_name")),
        schema="calculator",
    )
    op.create_index(
        op.f("ix_miner_model_name_model_id"),
        "miner_model_name",
        ["model_id"],
        unique=False,
        schema="calculator",
    )
    tenant_policy("calculator", "miner_model", shared=True)
    tenant_policy("calculator", "miner_model_name", shared=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(
        op.f("ix_miner_model_name_model_id"), table_name="miner_model_name", schema="calculator"
    )
    op.drop_table("miner_model_name", schema="calculator")
    op.drop_index(
        "uq_miner_model_catalogue_name",
        table_name="miner_model",
        schema="calculator",
        postgresql_where=sa.text("catalogue_name IS NOT NULL"),
    )
    op.drop_index("ix_miner_model_organisation_id", table_name="miner_model", schema="calculator")
    op.drop_table("miner_model", schema="calculator")
    drop_platform_tables("calculator")
