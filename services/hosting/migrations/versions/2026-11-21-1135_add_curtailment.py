"""Add curtailment: plans, their targets, and how a site curtails."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import tenant_policy

revision = "d3cc54f2974c"
down_revision = "46e3fbff367b"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "curtailment_plan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("plan_type", sa.Text(), nullable=False),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("target_power_reduction_mw", sa.Numeric(precision=12, scale=6), nullable=False),
        sa.Column("duration_minutes", sa.Integer(), nullable=True),
        sa.Column("scheduled_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("miners_affected", sa.Integer(), nullable=False),
        sa.Column("power_reduced_mw", sa.Numeric(precision=12, scale=6), nullable=False),
        sa.Column("power_reduced_estimated_mw", sa.Numeric(precision=12, scale=6), nullable=False),
        sa.Column("restore_failed_count", sa.Integer(), nullable=False),
        sa.Column("restore_batch_size", sa.Integer(), nullable=False),
        sa.Column("restore_interval_s", sa.Integer(), nullable=False),
        sa.Column("next_restore_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("watched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_snapshot", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("approved_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'approved', 'executing', 'executed', 'partially_executed', "
            "'failed', 'restoring', 'completed', 'cancelled')",
            name=op.f("ck_curtailment_plan_status"),
        ),
        sa.CheckConstraint(
            "target_power_reduction_mw > 0", name=op.f("ck_curtailment_plan_target")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_curtailment_plan")),
        schema="hosting",
    )
    op.create_index(
        "ix_curtailment_plan_alive",
        "curtailment_plan",
        ["status"],
        unique=False,
        schema="hosting",
        postgresql_where=sa.text("status NOT IN ('completed', 'cancelled')"),
    )
    op.create_index(
        "ix_curtailment_plan_organisation_id",
        "curtailment_plan",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_index(
        "ix_curtailment_plan_site_id",
        "curtailment_plan",
        ["site_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "curtailment_policy",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("four_eyes", sa.Boolean(), nullable=False),
        sa.Column("restore_batch_size", sa.Integer(), nullable=False),
        sa.Column("restore_interval_s", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", name=op.f("pk_curtailment_policy")),
        schema="hosting",
    )
    op.create_index(
        "ix_curtailment_policy_organisation_id",
        "curtailment_policy",
        ["organisation_id", "site_id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "curtailment_target",
        sa.Column("plan_id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("desired_state", sa.Text(), nullable=False),
        sa.Column("may_be_down", sa.Boolean(), nullable=False),
        sa.Column("baseline_power_w", sa.Double[float](), nullable=False),
        sa.Column("baseline_hashrate_ths", sa.Double[float](), nullable=False),
        sa.Column("observed_power_w", sa.Double[float](), nullable=True),
        sa.Column("power_estimated", sa.Boolean(), nullable=False),
        sa.Column("stop_command_id", sa.Uuid(), nullable=True),
        sa.Column("stop_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("restore_command_id", sa.Uuid(), nullable=True),
        sa.Column("restore_attempts", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restore_ordered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["hosting.curtailment_plan.id"],
            name=op.f("fk_curtailment_target_plan_id_curtailment_plan"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("plan_id", "miner_id", name=op.f("pk_curtailment_target")),
        schema="hosting",
    )
    op.create_index(
        "ix_curtailment_target_organisation_id",
        "curtailment_target",
        ["organisation_id", "plan_id"],
        unique=False,
        schema="hosting",
    )
    op.create_index(
        "uq_curtailment_target_active_miner_id",
        "curtailment_target",
        ["miner_id"],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text(
            "state = 'pending' OR (may_be_down AND state <> 'restore_failed')"
        ),
    )
    for table in ("curtailment_plan", "curtailment_target", "curtailment_policy"):
        tenant_policy("hosting", table)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(
        "uq_curtailment_target_active_miner_id",
        table_name="curtailment_target",
        schema="hosting",
        postgresql_where=sa.text(
            "state = 'pending' OR (may_be_down AND state <> 'restore_failed')"
        ),
    )
    op.drop_index(
        "ix_curtailment_target_organisation_id", table_name="curtailment_target", schema="hosting"
    )
    op.drop_table("curtailment_target", schema="hosting")
    op.drop_index(
        "ix_curtailment_policy_organisation_id", table_name="curtailment_policy", schema="hosting"
    )
    op.drop_table("curtailment_policy", schema="hosting")
    op.drop_index("ix_curtailment_plan_site_id", table_name="curtailment_plan", schema="hosting")
    op.drop_index(
        "ix_curtailment_plan_organisation_id", table_name="curtailment_plan", schema="hosting"
    )
    op.drop_index(
        "ix_curtailment_plan_alive",
        table_name="curtailment_plan",
        schema="hosting",
        postgresql_where=sa.text("status NOT IN ('completed', 'cancelled')"),
    )
    op.drop_table("curtailment_plan", schema="hosting")
