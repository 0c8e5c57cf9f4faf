"""Add forecasts and insights."""

revision = "i4a3"
down_revision = "i4a2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
