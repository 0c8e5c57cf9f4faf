"""Add the treasury."""

revision = "i4a4"
down_revision = "i4a3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
