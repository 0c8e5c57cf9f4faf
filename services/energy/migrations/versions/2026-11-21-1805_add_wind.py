"""Add the job queue of this service, wind curtailment and its summaries."""

from common.migrations import drop_job_queue, job_queue

revision = "e5a5"
down_revision = "e5a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    job_queue("energy")


def downgrade() -> None:
    """Take this revision back."""
    drop_job_queue("energy")
