"""Add quotes and epochs."""

revision = "c4a1"
down_revision = "06df29e6e153"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
