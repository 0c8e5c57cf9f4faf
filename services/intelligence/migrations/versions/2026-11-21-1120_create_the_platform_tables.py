"""Create the tables that every service has."""

from common.migrations import create_platform_tables, drop_platform_tables

revision = "a9a5e3ab56b8"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("intelligence")


def downgrade() -> None:
    """Take this revision back."""
    drop_platform_tables("intelligence")
