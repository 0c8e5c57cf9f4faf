"""Narrow the grants on closings: the app role marks a half-hour as touched, and no more."""

from alembic import op

revision = "8d20f4be6a17"
down_revision = "5b1c7a90d3e4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    op.execute("REVOKE ALL ON telemetry.half_hour_close FROM telemetry_app")
    op.execute(
        "GRANT SELECT (organisation_id, site_id, starts_at), UPDATE (dirty) "
        "ON telemetry.half_hour_close TO telemetry_app"
    )


def downgrade() -> None:
    """Take this revision back."""
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON telemetry.half_hour_close TO telemetry_app")
