"""Add calculations."""

revision = "c4a2"
down_revision = "c4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
