"""Add electricity rates and their versions."""

revision = "e5a1"
down_revision = "e5a0"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
