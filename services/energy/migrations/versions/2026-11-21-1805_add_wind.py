"""Add wind curtailment and its summaries."""

revision = "e5a5"
down_revision = "e5a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
