"""Add indicators and signals."""

revision = "i4a2"
down_revision = "i4a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
