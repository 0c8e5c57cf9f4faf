"""Add the market."""

revision = "i4a1"
down_revision = "a9a5e3ab56b8"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
