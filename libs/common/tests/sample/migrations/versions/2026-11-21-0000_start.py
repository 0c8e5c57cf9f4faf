"""The sample service's tables."""

import sqlalchemy as sa
from alembic import op

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "sample1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_platform_tables("sample", queue=True)
    op.create_table(
        "thing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("price_usd", sa.Numeric(20, 8), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_thing_named")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_thing")),
        sa.UniqueConstraint("name", name=op.f("uq_thing_name")),
        schema="sample",
    )
    tenant_policy("sample", "thing", client=True)


def downgrade() -> None:
    op.drop_table("thing", schema="sample")
    drop_platform_tables("sample", queue=True)
