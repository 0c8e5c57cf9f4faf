"""Organisations, members, sessions and API keys, each behind the tenant wall."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import platform_policies, tenant_policy

revision = "2631c7cd2eb5"
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
        schema="gateway",
    )
    op.create_index(
        "ix_audit_event_organisation_id",
        "audit_event",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
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
        schema="gateway",
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
        schema="gateway",
    )
    op.create_index(
        op.f("ix_idempotency_key_created_at"),
        "idempotency_key",
        ["created_at"],
        unique=False,
        schema="gateway",
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
        schema="gateway",
    )
    op.create_index(
        op.f("ix_inbox_processed_at"), "inbox", ["processed_at"], unique=False, schema="gateway"
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
        schema="gateway",
    )
    op.create_index(
        "ix_job_organisation_id", "job", ["organisation_id", "id"], unique=False, schema="gateway"
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'client') = (client_id IS NOT NULL)", name=op.f("ck_organisation_client")
        ),
        sa.CheckConstraint(
            "(kind = 'client') = (parent_id IS NOT NULL)", name=op.f("ck_organisation_parent")
        ),
        sa.CheckConstraint(
            "kind IN ('platform', 'operator', 'client')", name=op.f("ck_organisation_kind")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["gateway.organisation.id"],
            name=op.f("fk_organisation_parent_id_organisation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        schema="gateway",
    )
    op.create_index(
        "ix_organisation_organisation_id",
        "organisation",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
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
        schema="gateway",
    )
    op.create_index(
        "ix_outbox_organisation_id",
        "outbox",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
    )
    op.create_index(
        "ix_outbox_pending",
        "outbox",
        ["id"],
        unique=False,
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("member_of", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint(
            "(role = 'Client') = (client_id IS NOT NULL)", name=op.f("ck_user_account_client")
        ),
        sa.CheckConstraint(
            "role IN ('Admin', 'Owner', 'Host', 'Client')", name=op.f("ck_user_account_role")
        ),
        sa.ForeignKeyConstraint(
            ["member_of"],
            ["gateway.organisation.id"],
            name=op.f("fk_user_account_member_of_organisation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("email", name=op.f("uq_user_account_email")),
        schema="gateway",
    )
    op.create_index(
        op.f("ix_user_account_member_of"),
        "user_account",
        ["member_of"],
        unique=False,
        schema="gateway",
    )
    op.create_index(
        "ix_user_account_organisation_id",
        "user_account",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
    )
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("cidrs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by"],
            ["gateway.user_account.id"],
            name=op.f("fk_api_key_created_by_user_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
        schema="gateway",
    )
    op.create_index(
        op.f("ix_api_key_created_by"), "api_key", ["created_by"], unique=False, schema="gateway"
    )
    op.create_index(
        "ix_api_key_organisation_id",
        "api_key",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
    )
    op.create_table(
        "login_session",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_because", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["gateway.user_account.id"],
            name=op.f("fk_login_session_user_id_user_account"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_session")),
        schema="gateway",
    )
    op.create_index(
        "ix_login_session_organisation_id",
        "login_session",
        ["organisation_id", "id"],
        unique=False,
        schema="gateway",
    )
    op.create_index(
        op.f("ix_login_session_user_id"),
        "login_session",
        ["user_id"],
        unique=False,
        schema="gateway",
    )
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor", sa.LargeBinary(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["gateway.login_session.id"],
            name=op.f("fk_refresh_token_session_id_login_session"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_refresh_token")),
        schema="gateway",
    )
    op.create_index(
        "ix_refresh_token_organisation_id",
        "refresh_token",
        ["organisation_id", "session_id"],
        unique=False,
        schema="gateway",
    )
    op.create_index(
        op.f("ix_refresh_token_session_id"),
        "refresh_token",
        ["session_id"],
        unique=False,
        schema="gateway",
    )
    for table in ("organisation", "user_account", "login_session", "refresh_token", "api_key"):
        tenant_policy("gateway", table, client=True)
    platform_policies("gateway")


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(op.f("ix_refresh_token_session_id"), table_name="refresh_token", schema="gateway")
    op.drop_index("ix_refresh_token_organisation_id", table_name="refresh_token", schema="gateway")
    op.drop_table("refresh_token", schema="gateway")
    op.drop_index(op.f("ix_login_session_user_id"), table_name="login_session", schema="gateway")
    op.drop_index("ix_login_session_organisation_id", table_name="login_session", schema="gateway")
    op.drop_table("login_session", schema="gateway")
    op.drop_index("ix_api_key_organisation_id", table_name="api_key", schema="gateway")
    op.drop_index(op.f("ix_api_key_created_by"), table_name="api_key", schema="gateway")
    op.drop_table("api_key", schema="gateway")
    op.drop_index("ix_user_account_organisation_id", table_name="user_account", schema="gateway")
    op.drop_index(op.f("ix_user_account_member_of"), table_name="user_account", schema="gateway")
    op.drop_table("user_account", schema="gateway")
    op.drop_index(
        "ix_outbox_pending",
        table_name="outbox",
        schema="gateway",
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.drop_index("ix_outbox_organisation_id", table_name="outbox", schema="gateway")
    op.drop_table("outbox", schema="gateway")
    op.drop_index("ix_organisation_organisation_id", table_name="organisation", schema="gateway")
    op.drop_table("organisation", schema="gateway")
    op.drop_index("ix_job_organisation_id", table_name="job", schema="gateway")
    op.drop_table("job", schema="gateway")
    op.drop_index(op.f("ix_inbox_processed_at"), table_name="inbox", schema="gateway")
    op.drop_table("inbox", schema="gateway")
    op.drop_index(
        op.f("ix_idempotency_key_created_at"), table_name="idempotency_key", schema="gateway"
    )
    op.drop_table("idempotency_key", schema="gateway")
    op.drop_table("dead_letter", schema="gateway")
    op.drop_index("ix_audit_event_organisation_id", table_name="audit_event", schema="gateway")
    op.drop_table("audit_event", schema="gateway")
