"""Add savings, reconciliations and carbon intensity."""

revision = "e5a4"
down_revision = "e5a3"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
