"""The sample service sends messages."""

from common.migrations import create_messaging_tables, drop_messaging_tables

revision = "sample2"
down_revision = "sample1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_messaging_tables("sample")


def downgrade() -> None:
    drop_messaging_tables("sample")
