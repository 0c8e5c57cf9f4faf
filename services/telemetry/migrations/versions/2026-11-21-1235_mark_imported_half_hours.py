"""Mark the half-hours that were imported: the closing of samples leaves those alone."""

import sqlalchemy as sa
from alembic import op

revision = "c41e7b2f9a05"
down_revision = "8d20f4be6a17"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.add_column(
        "half_hour_close",
        sa.Column("imported", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        schema="telemetry",
    )


def downgrade() -> None:
    """Take this revision back."""
    op.drop_column("half_hour_close", "imported", schema="telemetry")
