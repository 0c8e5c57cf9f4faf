"""The sample service's tables."""

import sqlalchemy as sa
from alembic import context, op

from common.migrations import job_queue, platform_policies, tenant_policy

revision = "sample1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    context.config.attributes["metadata"].create_all(op.get_bind())
    platform_policies("sample")
    job_queue("sample")
    tenant_policy("sample", "thing", client=True)
    op.execute(sa.text("ALTER TABLE sample.thing ADD CHECK (length(name) > 0)"))


def downgrade() -> None:
    context.config.attributes["metadata"].drop_all(op.get_bind())
