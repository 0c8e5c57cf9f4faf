"""Add calculations: the history, batches with their job queue, prices of models."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import drop_job_queue, job_queue, tenant_policy

revision = "c4a2"
down_revision = "c4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    job_queue("calculator")
    op.add_column(
        "miner_model",
        sa.Column("reference_price_usd", sa.Numeric(precision=14, scale=2), nullable=True),
        schema="calculator",
    )
    op.create_check_constraint(
        op.f("ck_miner_model_reference_price_not_negative"),
        "miner_model",
        "reference_price_usd >= 0",
        schema="calculator",
    )
    _history()
    _batches()
    for table in ("history_entry", "batch", "batch_part"):
        tenant_policy("calculator", table, client=True)


def _history() -> None:
    op.create_table(
        "history_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("share_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("shared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('calculation', 'projection', 'batch')",
            name=op.f("ck_history_entry_kind_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_history_entry")),
        sa.UniqueConstraint("share_sha256", name=op.f("uq_history_entry_share_sha256")),
        schema="calculator",
    )
    op.create_index(
        "ix_history_entry_organisation_id",
        "history_entry",
        ["organisation_id", "created_by", "id"],
        schema="calculator",
    )
    op.create_index(
        "ix_history_entry_created_at", "history_entry", ["created_at"], schema="calculator"
    )


def _batches() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("ignored_columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("from_file", sa.Boolean(), nullable=False),
        sa.Column("market", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["id"],
            ["calculator.history_entry.id"],
            name=op.f("fk_batch_id_history_entry"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
        sa.UniqueConstraint("job_id", name=op.f("uq_batch_job_id")),
        schema="calculator",
    )
    op.create_index(
        "ix_batch_organisation_id", "batch", ["organisation_id", "id"], schema="calculator"
    )
    op.create_index("ix_batch_created_at", "batch", ["created_at"], schema="calculator")
    op.create_table(
        "batch_part",
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("answered", sa.LargeBinary(), nullable=True),
        sa.Column("totals", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["calculator.batch.id"],
            name=op.f("fk_batch_part_batch_id_batch"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("batch_id", "part", name=op.f("pk_batch_part")),
        schema="calculator",
    )
    op.create_index(
        "ix_batch_part_organisation_id",
        "batch_part",
        ["organisation_id", "batch_id"],
        schema="calculator",
    )


def downgrade() -> None:
    """Take this revision back."""
    for table in ("batch_part", "batch", "history_entry"):
        op.drop_table(table, schema="calculator")
    op.drop_constraint(
        op.f("ck_miner_model_reference_price_not_negative"), "miner_model", schema="calculator"
    )
    op.drop_column("miner_model", "reference_price_usd", schema="calculator")
    drop_job_queue("calculator")
