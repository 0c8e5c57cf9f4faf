"""Create the miner models, and the tables that every service has."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import platform_policies, tenant_policy

revision = "06df29e6e153"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.create_table(
        "audit_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_role", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_event")),
        schema="calculator",
    )
    op.create_index(
        "ix_audit_event_organisation_id",
        "audit_event",
        ["organisation_id", "id"],
        unique=False,
        schema="calculator",
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column(
            "died_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter")),
        schema="calculator",
    )
    op.create_table(
        "idempotency_key",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("body_sha256", sa.Text(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column(
            "body", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("organisation_id", "route", "key", name=op.f("pk_idempotency_key")),
        schema="calculator",
    )
    op.create_index(
        op.f("ix_idempotency_key_created_at"),
        "idempotency_key",
        ["created_at"],
        unique=False,
        schema="calculator",
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "processed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_inbox")),
        schema="calculator",
    )
    op.create_index(
        op.f("ix_inbox_processed_at"), "inbox", ["processed_at"], unique=False, schema="calculator"
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cursor", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("starts", sa.SmallInteger(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        schema="calculator",
    )
    op.create_index(
        "ix_job_organisation_id",
        "job",
        ["organisation_id", "id"],
        unique=False,
        schema="calculator",
    )
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
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
        schema="calculator",
    )
    op.create_index(
        "ix_outbox_organisation_id",
        "outbox",
        ["organisation_id", "id"],
        unique=False,
        schema="calculator",
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["id"],
        unique=False,
        schema="calculator",
        postgresql_where=sa.text("published_at IS NULL"),
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
    platform_policies("calculator")
    tenant_policy("calculator", "miner_model", shared=True)
    tenant_policy("calculator", "miner_model_name", shared=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(
        op.f("ix_miner_model_name_model_id"), table_name="miner_model_name", schema="calculator"
    )
    op.drop_table("miner_model_name", schema="calculator")
    op.drop_index(
        "ix_outbox_pending",
        table_name="outbox",
        schema="calculator",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.drop_index("ix_outbox_organisation_id", table_name="outbox", schema="calculator")
    op.drop_table("outbox", schema="calculator")
    op.drop_index(
        "uq_miner_model_catalogue_name",
        table_name="miner_model",
        schema="calculator",
        postgresql_where=sa.text("catalogue_name IS NOT NULL"),
    )
    op.drop_index("ix_miner_model_organisation_id", table_name="miner_model", schema="calculator")
    op.drop_table("miner_model", schema="calculator")
    op.drop_index("ix_job_organisation_id", table_name="job", schema="calculator")
    op.drop_table("job", schema="calculator")
    op.drop_index(op.f("ix_inbox_processed_at"), table_name="inbox", schema="calculator")
    op.drop_table("inbox", schema="calculator")
    op.drop_index(
        op.f("ix_idempotency_key_created_at"), table_name="idempotency_key", schema="calculator"
    )
    op.drop_table("idempotency_key", schema="calculator")
    op.drop_table("dead_letter", schema="calculator")
    op.drop_index("ix_audit_event_organisation_id", table_name="audit_event", schema="calculator")
    op.drop_table("audit_event", schema="calculator")
