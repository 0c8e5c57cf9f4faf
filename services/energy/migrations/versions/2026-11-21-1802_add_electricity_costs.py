"""Add rated half-hours and electricity costs."""

revision = "e5a2"
down_revision = "e5a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""


def downgrade() -> None:
    """Take this revision back."""
