"""Organisations, members, sessions and API keys, each behind the tenant wall."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "2631c7cd2eb5"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("gateway")
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
    op.drop_index("ix_organisation_organisation_id", table_name="organisation", schema="gateway")
    op.drop_table("organisation", schema="gateway")
    drop_platform_tables("gateway")
