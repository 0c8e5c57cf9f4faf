"""Add the firmware family that a miner shows to its state.

The view is replaced with it: its columns were fixed when it was made.
"""

import sqlalchemy as sa
from alembic import op

revision = "5b1c7a90d3e4"
down_revision = "2655f62c1990"
branch_labels = None
depends_on = None

_ORGANISATION = "(SELECT nullif(current_setting('app.organisation_id', true), '')::uuid)"
_CLIENT = "(SELECT nullif(current_setting('app.client_id', true), '')::uuid)"


def upgrade() -> None:
    """Apply this revision."""
    op.add_column("miner_state", sa.Column("family", sa.Text()), schema="telemetry")
    op.execute(
        "CREATE OR REPLACE VIEW telemetry.visible_miner_state WITH (security_barrier) AS "
        "SELECT t.* FROM telemetry.miner_state t JOIN telemetry.miner m ON m.id = t.miner_id "
        f"WHERE m.organisation_id = {_ORGANISATION} "
        f"AND ({_CLIENT} IS NULL OR m.client_id = {_CLIENT})"
    )


def downgrade() -> None:
    """Take this revision back."""
    op.execute("ALTER TABLE telemetry.miner_state DROP COLUMN family CASCADE")
    op.execute(
        "CREATE VIEW telemetry.visible_miner_state WITH (security_barrier) AS "
        "SELECT t.* FROM telemetry.miner_state t JOIN telemetry.miner m ON m.id = t.miner_id "
        f"WHERE m.organisation_id = {_ORGANISATION} "
        f"AND ({_CLIENT} IS NULL OR m.client_id = {_CLIENT})"
    )
    op.execute("REVOKE ALL ON telemetry.visible_miner_state FROM telemetry_app, telemetry_worker")
    op.execute("GRANT SELECT ON telemetry.visible_miner_state TO telemetry_app")
