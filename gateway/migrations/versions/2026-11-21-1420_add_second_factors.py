"""Second factors: sealed secrets, recovery codes, and which logins proved one."""

import sqlalchemy as sa
from alembic import op

from common.migrations import tenant_policy

revision = "8f0c1d6e2a47"
down_revision = "2631c7cd2eb5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column(
        "login_session",
        sa.Column("second_factor", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="gateway",
    )
    op.create_table(
        "second_factor",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.Integer(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["gateway.user_account.id"],
            name=op.f("fk_second_factor_user_id_user_account"),
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_second_factor")),
        schema="gateway",
    )
    op.create_index(
        "ix_second_factor_organisation_id",
        "second_factor",
        ["organisation_id", "user_id"],
        unique=False,
        schema="gateway",
    )
    op.create_table(
        "recovery_code",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["gateway.user_account.id"],
            name=op.f("fk_recovery_code_user_id_user_account"),
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_recovery_code")),
        schema="gateway",
    )
    op.create_index(
        "ix_recovery_code_organisation_id",
        "recovery_code",
        ["organisation_id", "user_id"],
        unique=False,
        schema="gateway",
    )
    op.create_index(
        op.f("ix_recovery_code_user_id"),
        "recovery_code",
        ["user_id"],
        unique=False,
        schema="gateway",
    )
    for table in ("second_factor", "recovery_code"):
        tenant_policy("gateway", table, client=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(op.f("ix_recovery_code_user_id"), table_name="recovery_code", schema="gateway")
    op.drop_index("ix_recovery_code_organisation_id", table_name="recovery_code", schema="gateway")
    op.drop_table("recovery_code", schema="gateway")
    op.drop_index("ix_second_factor_organisation_id", table_name="second_factor", schema="gateway")
    op.drop_table("second_factor", schema="gateway")
    op.drop_column("login_session", "second_factor", schema="gateway")
