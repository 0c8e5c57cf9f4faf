"""Add messages, alerts, budgets and signals."""

revision = "e5a3"
down_revision = "e5a2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
