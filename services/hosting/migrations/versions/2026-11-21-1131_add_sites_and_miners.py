"""Add sites, machines and what happens to them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "46e3fbff367b"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("hosting")
    op.create_table(
        "incident",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        schema="hosting",
    )
    op.create_index(
        "ix_incident_open",
        "incident",
        ["site_id", "cause"],
        unique=False,
        schema="hosting",
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.create_index(
        "ix_incident_organisation_id",
        "incident",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_index(
        "ix_incident_unannounced",
        "incident",
        ["id"],
        unique=False,
        schema="hosting",
        postgresql_where=sa.text("NOT announced"),
    )
    op.create_table(
        "miner_model",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hashrate_ths", sa.Double[float](), nullable=False),
        sa.Column("power_w", sa.Double[float](), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_miner_model")),
        schema="hosting",
    )
    op.create_index(
        "ix_miner_model_organisation_id",
        "miner_model",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisation")),
        schema="hosting",
    )
    op.create_index(
        "ix_organisation_organisation_id",
        "organisation",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "site",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("capacity_mw", sa.Double[float](), nullable=False),
        sa.Column("power_limit_mw", sa.Double[float](), nullable=True),
        sa.Column("allowed_cidrs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        schema="hosting",
    )
    op.create_index(
        "ix_site_organisation_id", "site", ["organisation_id", "id"], unique=False, schema="hosting"
    )
    op.create_index(
        "uq_site_organisation_id_name",
        "site",
        ["organisation_id", sa.literal_column("lower(name)")],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "credential",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("firmware", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["hosting.site.id"], name=op.f("fk_credential_site_id_site")
        ),
        sa.PrimaryKeyConstraint("site_id", "firmware", name=op.f("pk_credential")),
        schema="hosting",
    )
    op.create_index(
        "ix_credential_organisation_id",
        "credential",
        ["organisation_id", "site_id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "incident_miner",
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"],
            ["hosting.incident.id"],
            name=op.f("fk_incident_miner_incident_id_incident"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("incident_id", "miner_id", name=op.f("pk_incident_miner")),
        schema="hosting",
    )
    op.create_index(
        "ix_incident_miner_open",
        "incident_miner",
        ["miner_id"],
        unique=False,
        schema="hosting",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_index(
        "ix_incident_miner_organisation_id",
        "incident_miner",
        ["organisation_id", "incident_id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "rack",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("positions", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["hosting.site.id"], name=op.f("fk_rack_site_id_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rack")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_rack_site_id_name")),
        schema="hosting",
    )
    op.create_index(
        "ix_rack_organisation_id", "rack", ["organisation_id", "id"], unique=False, schema="hosting"
    )
    op.create_table(
        "miner",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("serial_key", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("cgminer_ip", sa.Text(), nullable=False),
        sa.Column("cgminer_port", sa.Integer(), nullable=False),
        sa.Column("firmware", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("nameplate_hashrate_ths", sa.Double[float](), nullable=False),
        sa.Column("nameplate_power_w", sa.Double[float](), nullable=False),
        sa.Column("rack_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("reachable", sa.Boolean(), nullable=False),
        sa.Column("reachable_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rack_id"], ["hosting.rack.id"], name=op.f("fk_miner_rack_id_rack")
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["hosting.site.id"], name=op.f("fk_miner_site_id_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_miner")),
        schema="hosting",
    )
    op.create_index(
        "ix_miner_organisation_id",
        "miner",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_index(
        "ix_miner_site_id_status", "miner", ["site_id", "status"], unique=False, schema="hosting"
    )
    op.create_index(
        "uq_miner_address",
        "miner",
        ["site_id", "cgminer_ip", "cgminer_port"],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_index(
        "uq_miner_place",
        "miner",
        ["rack_id", "position"],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL AND rack_id IS NOT NULL"),
    )
    op.create_index(
        "uq_miner_serial",
        "miner",
        ["organisation_id", "serial_key"],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.create_table(
        "command",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("status_before", sa.Text(), nullable=False),
        sa.Column("ordered_by", sa.Uuid(), nullable=False),
        sa.Column("ordered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["miner_id"], ["hosting.miner.id"], name=op.f("fk_command_miner_id_miner")
        ),
        sa.ForeignKeyConstraint(
            ["site_id"], ["hosting.site.id"], name=op.f("fk_command_site_id_site")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command")),
        schema="hosting",
    )
    op.create_index(
        "ix_command_miner_id", "command", ["miner_id", "id"], unique=False, schema="hosting"
    )
    op.create_index(
        "ix_command_organisation_id",
        "command",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["miner_id"], ["hosting.miner.id"], name=op.f("fk_maintenance_miner_id_miner")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance")),
        schema="hosting",
    )
    op.create_index(
        op.f("ix_maintenance_miner_id"), "maintenance", ["miner_id"], unique=False, schema="hosting"
    )
    op.create_index(
        "ix_maintenance_organisation_id",
        "maintenance",
        ["organisation_id", "id"],
        unique=False,
        schema="hosting",
    )
    op.create_index(
        "uq_maintenance_open",
        "maintenance",
        ["miner_id"],
        unique=True,
        schema="hosting",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    for table in ("site", "credential", "rack", "organisation", "incident", "incident_miner"):
        tenant_policy("hosting", table)
    for table in ("miner", "maintenance", "command"):
        tenant_policy("hosting", table, client=True)
    tenant_policy("hosting", "miner_model", shared=True)


def downgrade() -> None:
    """Take this revision back."""
    op.drop_index(
        "uq_maintenance_open",
        table_name="maintenance",
        schema="hosting",
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index("ix_maintenance_organisation_id", table_name="maintenance", schema="hosting")
    op.drop_index(op.f("ix_maintenance_miner_id"), table_name="maintenance", schema="hosting")
    op.drop_table("maintenance", schema="hosting")
    op.drop_index("ix_command_organisation_id", table_name="command", schema="hosting")
    op.drop_index("ix_command_miner_id", table_name="command", schema="hosting")
    op.drop_table("command", schema="hosting")
    op.drop_index(
        "uq_miner_serial",
        table_name="miner",
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index(
        "uq_miner_place",
        table_name="miner",
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL AND rack_id IS NOT NULL"),
    )
    op.drop_index(
        "uq_miner_address",
        table_name="miner",
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index("ix_miner_site_id_status", table_name="miner", schema="hosting")
    op.drop_index("ix_miner_organisation_id", table_name="miner", schema="hosting")
    op.drop_table("miner", schema="hosting")
    op.drop_index("ix_rack_organisation_id", table_name="rack", schema="hosting")
    op.drop_table("rack", schema="hosting")
    op.drop_index(
        "ix_incident_miner_organisation_id", table_name="incident_miner", schema="hosting"
    )
    op.drop_index(
        "ix_incident_miner_open",
        table_name="incident_miner",
        schema="hosting",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.drop_table("incident_miner", schema="hosting")
    op.drop_index("ix_credential_organisation_id", table_name="credential", schema="hosting")
    op.drop_table("credential", schema="hosting")
    op.drop_index(
        "uq_site_organisation_id_name",
        table_name="site",
        schema="hosting",
        postgresql_where=sa.text("removed_at IS NULL"),
    )
    op.drop_index("ix_site_organisation_id", table_name="site", schema="hosting")
    op.drop_table("site", schema="hosting")
    op.drop_index("ix_organisation_organisation_id", table_name="organisation", schema="hosting")
    op.drop_table("organisation", schema="hosting")
    op.drop_index("ix_miner_model_organisation_id", table_name="miner_model", schema="hosting")
    op.drop_table("miner_model", schema="hosting")
    op.drop_index(
        "ix_incident_unannounced",
        table_name="incident",
        schema="hosting",
        postgresql_where=sa.text("NOT announced"),
    )
    op.drop_index("ix_incident_organisation_id", table_name="incident", schema="hosting")
    op.drop_index(
        "ix_incident_open",
        table_name="incident",
        schema="hosting",
        postgresql_where=sa.text("ends_at IS NULL"),
    )
    op.drop_table("incident", schema="hosting")
    drop_platform_tables("hosting")
