"""Drop the member count of incidents: counting them costs less than updating it."""

import sqlalchemy as sa
from alembic import op

revision = "7c1e5b0a92d4"
down_revision = "d3cc54f2974c"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.drop_column("incident", "members", schema="hosting")


def downgrade() -> None:
    """Take this revision back."""
    op.add_column(
        "incident",
        sa.Column("members", sa.Integer(), server_default="0", nullable=False),
        schema="hosting",
    )
