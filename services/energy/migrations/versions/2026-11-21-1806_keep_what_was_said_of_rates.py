"""Keep of each rate which mean price was published last, and when.

Readers call a mean of a varying price stale after a week, so it is said again.
"""

from alembic import op

revision = "e5a6"
down_revision = "e5a5"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.execute(
        """
        ALTER TABLE energy.electricity_rates
        ADD COLUMN announced_at timestamptz,
        ADD COLUMN announced_mean numeric(24, 9)
        """
    )


def downgrade() -> None:
    """Take this revision back."""
    op.execute(
        """
        ALTER TABLE energy.electricity_rates
        DROP COLUMN announced_at,
        DROP COLUMN announced_mean
        """
    )
