"""Import by jobs: the job queue, and files that wait for their job."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import job_queue, tenant_policy

revision = "b41f0c6d83aa"
down_revision = "7c1e5b0a92d4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    job_queue("hosting")
    op.create_table(
        "miner_import",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("caller", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("ignored_columns", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_miner_import")),
        schema="hosting",
    )
    op.create_index(
        "ix_miner_import_organisation_id",
        "miner_import",
        ["organisation_id", "job_id"],
        schema="hosting",
    )
    op.create_index(
        op.f("ix_miner_import_created_at"), "miner_import", ["created_at"], schema="hosting"
    )
    op.create_table(
        "miner_import_part",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rows", sa.LargeBinary(), nullable=True),
        sa.Column("errors", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["hosting.miner_import.job_id"],
            name=op.f("fk_miner_import_part_job_id_miner_import"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "part", name=op.f("pk_miner_import_part")),
        schema="hosting",
    )
    op.create_index(
        "ix_miner_import_part_organisation_id",
        "miner_import_part",
        ["organisation_id", "job_id"],
        schema="hosting",
    )
    op.create_index(
        "ix_miner_import_part_kept",
        "miner_import_part",
        ["job_id"],
        schema="hosting",
        postgresql_where=sa.text("rows IS NOT NULL"),
    )
    for table in ("miner_import", "miner_import_part"):
        tenant_policy("hosting", table, client=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_table("miner_import_part", schema="hosting")
    op.drop_table("miner_import", schema="hosting")
    op.execute("DROP TABLE hosting.pgqueuer, hosting.pgqueuer_log, hosting.pgqueuer_schedules")
    op.execute("DROP TABLE hosting.pgqueuer_statistics")
    op.execute("DROP FUNCTION hosting.fn_pgqueuer_changed")
    op.execute("DROP TYPE hosting.pgqueuer_status")
