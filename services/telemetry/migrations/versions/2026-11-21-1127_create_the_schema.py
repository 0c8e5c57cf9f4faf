"""Create the schema: read model, samples, commands, ledger."""

# Alembic's generated columns carry no types.
# pyright: basic

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "2655f62c1990"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("telemetry")
    op.create_table(
        "alert",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("threshold", sa.Double(), nullable=True),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
        schema="telemetry",
    )
    op.create_index(
        "ix_alert_organisation_id",
        "alert",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    op.create_index(
        "ix_alert_site_id", "alert", ["site_id", "fired_at"], unique=False, schema="telemetry"
    )
    op.create_index(
        "uq_alert_open",
        "alert",
        ["miner_id", "rule"],
        unique=True,
        schema="telemetry",
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "command",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("plan_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("power_before_w", sa.Double(), nullable=True),
        sa.Column("power_after_w", sa.Double(), nullable=True),
        sa.Column("power_estimated", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("uptime_before_s", sa.BigInteger(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_command")),
        schema="telemetry",
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index(
        "ix_command_miner_id",
        "command",
        ["miner_id", "created_at"],
        unique=False,
        schema="telemetry",
    )
    op.create_index(
        "ix_command_open",
        "command",
        ["partition", "created_at", "id"],
        unique=False,
        schema="telemetry",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_command_organisation_id",
        "command",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "curtailment_interval",
        sa.Column("command_id", sa.Uuid(), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("command_id", name=op.f("pk_curtailment_interval")),
        schema="telemetry",
    )
    op.create_index(
        "ix_curtailment_interval_miner_id",
        "curtailment_interval",
        ["miner_id", "starts_at"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "half_hour",
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("kwh", sa.Double(), nullable=True),
        sa.Column("th_h", sa.Double(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("coverage", sa.Double(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("miner_id", "starts_at", name=op.f("pk_half_hour")),
        schema="telemetry",
    )
    op.create_index(
        "ix_half_hour_site_id",
        "half_hour",
        ["site_id", "starts_at"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "half_hour_close",
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("dirty", sa.Boolean(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("site_id", "starts_at", name=op.f("pk_half_hour_close")),
        schema="telemetry",
    )
    op.create_index(
        "ix_half_hour_close_organisation_id",
        "half_hour_close",
        ["organisation_id", "site_id", "starts_at"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "incident",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("miner_ids", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        schema="telemetry",
    )
    op.create_index(
        "ix_incident_organisation_id",
        "incident",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    op.create_index(
        "ix_incident_site_id",
        "incident",
        ["site_id", "starts_at"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "miner",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("site_id", sa.Uuid(), nullable=False),
        sa.Column("serial_number", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("firmware", sa.Text(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("polled", sa.Boolean(), nullable=False),
        sa.Column("nameplate_hashrate_ths", sa.Double(), nullable=True),
        sa.Column("nameplate_power_w", sa.Double(), nullable=True),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("client_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_miner")),
        schema="telemetry",
    )
    op.create_index(
        "ix_miner_organisation_id",
        "miner",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    op.create_index(
        "ix_miner_partition", "miner", ["partition", "changed_at"], unique=False, schema="telemetry"
    )
    op.create_index("ix_miner_site_id", "miner", ["site_id"], unique=False, schema="telemetry")
    op.create_table(
        "miner_model",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("hashrate_ths", sa.Double(), nullable=False),
        sa.Column("power_w", sa.Double(), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_miner_model")),
        schema="telemetry",
    )
    op.create_index(
        "ix_miner_model_organisation_id",
        "miner_model",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    op.create_table(
        "miner_state",
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("firmware", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("mac", sa.Text(), nullable=True),
        sa.Column("pools", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("error_codes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("known_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("known_hashrate_ths", sa.Double(), nullable=True),
        sa.Column("known_power_w", sa.Double(), nullable=True),
        sa.Column("known_power_estimated", sa.Boolean(), nullable=False),
        sa.Column("known_uptime_s", sa.BigInteger(), nullable=True),
        sa.Column("known_counters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("silent_slots", sa.SmallInteger(), nullable=False),
        sa.Column("curtailed_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ramping_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("watches", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("hashrate_5s_ths", sa.Double(), nullable=True),
        sa.Column("hashrate_avg_ths", sa.Double(), nullable=True),
        sa.Column("hashrate_30m_ths", sa.Double(), nullable=True),
        sa.Column("power_w", sa.Double(), nullable=True),
        sa.Column("power_estimated", sa.Boolean(), nullable=False),
        sa.Column("chip_temp_max_c", sa.Double(), nullable=True),
        sa.Column("board_temp_max_c", sa.Double(), nullable=True),
        sa.Column("inlet_temp_c", sa.Double(), nullable=True),
        sa.Column("fans_rpm", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("boards", sa.Integer(), nullable=True),
        sa.Column("chips", sa.Integer(), nullable=True),
        sa.Column("hardware_errors", sa.BigInteger(), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.BigInteger(), nullable=True),
        sa.Column("stale", sa.BigInteger(), nullable=True),
        sa.Column("mining_uptime_s", sa.BigInteger(), nullable=True),
        sa.Column("is_mining", sa.Boolean(), nullable=True),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("miner_id", name=op.f("pk_miner_state")),
        schema="telemetry",
    )
    op.create_index(
        "ix_miner_state_updated_at", "miner_state", ["updated_at"], unique=False, schema="telemetry"
    )
    op.create_table(
        "parked_row",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.Column(
            "parked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parked_row")),
        schema="telemetry",
    )
    op.create_table(
        "partition_owner",
        sa.Column("partition", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.Uuid(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("partition", name=op.f("pk_partition_owner")),
        schema="telemetry",
    )
    op.create_table(
        "rollup_1h",
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("up_samples", sa.Integer(), nullable=False),
        sa.Column("powered_samples", sa.Integer(), nullable=False),
        sa.Column("hashed_samples", sa.Integer(), nullable=False),
        sa.Column("hashrate_ths_min", sa.Double(), nullable=True),
        sa.Column("hashrate_ths_avg", sa.Double(), nullable=True),
        sa.Column("hashrate_ths_max", sa.Double(), nullable=True),
        sa.Column("power_w_min", sa.Double(), nullable=True),
        sa.Column("power_w_avg", sa.Double(), nullable=True),
        sa.Column("power_w_max", sa.Double(), nullable=True),
        sa.Column("chip_temp_c_max", sa.Double(), nullable=True),
        sa.Column("board_temp_c_max", sa.Double(), nullable=True),
        sa.Column("inlet_temp_c_max", sa.Double(), nullable=True),
        sa.Column("fan_rpm_max", sa.Integer(), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.BigInteger(), nullable=True),
        sa.Column("stale", sa.BigInteger(), nullable=True),
        sa.Column("hardware_errors", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("miner_id", "starts_at", name=op.f("pk_rollup_1h")),
        schema="telemetry",
    )
    op.create_index(
        "ix_rollup_1h_starts_at",
        "rollup_1h",
        ["starts_at"],
        unique=False,
        schema="telemetry",
        postgresql_using="brin",
    )
    op.create_table(
        "rollup_5m",
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.Column("up_samples", sa.Integer(), nullable=False),
        sa.Column("powered_samples", sa.Integer(), nullable=False),
        sa.Column("hashed_samples", sa.Integer(), nullable=False),
        sa.Column("hashrate_ths_min", sa.Double(), nullable=True),
        sa.Column("hashrate_ths_avg", sa.Double(), nullable=True),
        sa.Column("hashrate_ths_max", sa.Double(), nullable=True),
        sa.Column("power_w_min", sa.Double(), nullable=True),
        sa.Column("power_w_avg", sa.Double(), nullable=True),
        sa.Column("power_w_max", sa.Double(), nullable=True),
        sa.Column("chip_temp_c_max", sa.Double(), nullable=True),
        sa.Column("board_temp_c_max", sa.Double(), nullable=True),
        sa.Column("inlet_temp_c_max", sa.Double(), nullable=True),
        sa.Column("fan_rpm_max", sa.Integer(), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.BigInteger(), nullable=True),
        sa.Column("stale", sa.BigInteger(), nullable=True),
        sa.Column("hardware_errors", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("miner_id", "starts_at", name=op.f("pk_rollup_5m")),
        schema="telemetry",
    )
    op.create_index(
        "ix_rollup_5m_starts_at",
        "rollup_5m",
        ["starts_at"],
        unique=False,
        schema="telemetry",
        postgresql_using="brin",
    )
    op.create_table(
        "rollup_dirty",
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("starts_at", name=op.f("pk_rollup_dirty")),
        schema="telemetry",
    )
    op.create_table(
        "sample",
        sa.Column("miner_id", sa.Uuid(), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("up", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("accepted_delta", sa.BigInteger(), nullable=True),
        sa.Column("rejected_delta", sa.BigInteger(), nullable=True),
        sa.Column("stale_delta", sa.BigInteger(), nullable=True),
        sa.Column("hardware_errors_delta", sa.BigInteger(), nullable=True),
        sa.Column("sampled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("hashrate_5s_ths", sa.Double(), nullable=True),
        sa.Column("hashrate_avg_ths", sa.Double(), nullable=True),
        sa.Column("hashrate_30m_ths", sa.Double(), nullable=True),
        sa.Column("power_w", sa.Double(), nullable=True),
        sa.Column("power_estimated", sa.Boolean(), nullable=False),
        sa.Column("chip_temp_max_c", sa.Double(), nullable=True),
        sa.Column("board_temp_max_c", sa.Double(), nullable=True),
        sa.Column("inlet_temp_c", sa.Double(), nullable=True),
        sa.Column("fans_rpm", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("boards", sa.Integer(), nullable=True),
        sa.Column("chips", sa.Integer(), nullable=True),
        sa.Column("hardware_errors", sa.BigInteger(), nullable=True),
        sa.Column("accepted", sa.BigInteger(), nullable=True),
        sa.Column("rejected", sa.BigInteger(), nullable=True),
        sa.Column("stale", sa.BigInteger(), nullable=True),
        sa.Column("mining_uptime_s", sa.BigInteger(), nullable=True),
        sa.Column("is_mining", sa.Boolean(), nullable=True),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("miner_id", "slot", name=op.f("pk_sample")),
        schema="telemetry",
        postgresql_partition_by="RANGE (slot)",
    )
    op.create_index(
        "ix_sample_slot",
        "sample",
        ["slot"],
        unique=False,
        schema="telemetry",
        postgresql_using="brin",
    )
    op.create_table(
        "site",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("allowed_cidrs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("credentials", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("removed", sa.Boolean(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        schema="telemetry",
    )
    op.create_index(
        "ix_site_organisation_id",
        "site",
        ["organisation_id", "id"],
        unique=False,
        schema="telemetry",
    )
    _secure()


def _secure() -> None:
    _wall_off()
    _keep_days()
    _show_own_machines()


def _wall_off() -> None:
    for table in ("site", "half_hour_close", "incident"):
        tenant_policy("telemetry", table)
    tenant_policy("telemetry", "miner_model", shared=True)
    for table in ("miner", "alert", "command"):
        tenant_policy("telemetry", table, client=True)
    # These carry no organisation; the app role reads them through views only.
    for table in (*_SHOWN, "parked_row", "partition_owner", "rollup_dirty", "curtailment_interval"):
        op.execute(f"REVOKE ALL ON telemetry.{table} FROM telemetry_app")


_SHOWN = ("sample", "miner_state", "rollup_5m", "rollup_1h", "half_hour")


def _show_own_machines() -> None:
    organisation = "(SELECT nullif(current_setting('app.organisation_id', true), '')::uuid)"
    client = "(SELECT nullif(current_setting('app.client_id', true), '')::uuid)"
    for table in _SHOWN:
        op.execute(
            f"CREATE VIEW telemetry.visible_{table} WITH (security_barrier) AS "
            f"SELECT t.* FROM telemetry.{table} t JOIN telemetry.miner m ON m.id = t.miner_id "
            f"WHERE m.organisation_id = {organisation} "
            f"AND ({client} IS NULL OR m.client_id = {client})"
        )
        op.execute(f"REVOKE ALL ON telemetry.visible_{table} FROM telemetry_app, telemetry_worker")
        op.execute(f"GRANT SELECT ON telemetry.visible_{table} TO telemetry_app")


def _keep_days() -> None:
    """Let the worker make and drop daily partitions, which only their owner may do."""
    op.execute(
        """
        CREATE FUNCTION telemetry.ensure_sample_day(day date) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
        DECLARE name text := 'sample_' || to_char(day, 'YYYYMMDD');
        BEGIN
            IF to_regclass('telemetry.' || name) IS NOT NULL THEN RETURN; END IF;
            PERFORM pg_advisory_xact_lock(hashtext('telemetry.ensure_sample_day'));
            IF to_regclass('telemetry.' || name) IS NOT NULL THEN RETURN; END IF;
            EXECUTE format(
                'CREATE TABLE telemetry.%I PARTITION OF telemetry.sample '
                'FOR VALUES FROM (%L) TO (%L)', name,
                day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('REVOKE ALL ON telemetry.%I FROM telemetry_app', name);
        END $$
        """
    )
    op.execute(
        """
        CREATE FUNCTION telemetry.drop_sample_days(keep_from date) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
        DECLARE partition record; dropped integer := 0;
        BEGIN
            SET LOCAL lock_timeout = '2s';
            FOR partition IN
                SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                WHERE i.inhparent = 'telemetry.sample'::regclass
                AND c.relname < 'sample_' || to_char(keep_from, 'YYYYMMDD')
            LOOP
                EXECUTE format('DROP TABLE telemetry.%I', partition.relname);
                dropped := dropped + 1;
            END LOOP;
            RETURN dropped;
        END $$
        """
    )
    for function in ("ensure_sample_day(date)", "drop_sample_days(date)"):
        op.execute(f"REVOKE ALL ON FUNCTION telemetry.{function} FROM PUBLIC, telemetry_app")
        op.execute(f"GRANT EXECUTE ON FUNCTION telemetry.{function} TO telemetry_worker")


def _unveil() -> None:
    for table in _SHOWN:
        op.execute(f"DROP VIEW telemetry.visible_{table}")
    op.execute("DROP FUNCTION telemetry.ensure_sample_day(date)")
    op.execute("DROP FUNCTION telemetry.drop_sample_days(date)")


def downgrade() -> None:
    """Take this revision back."""
    _unveil()
    op.drop_index("ix_site_organisation_id", table_name="site", schema="telemetry")
    op.drop_table("site", schema="telemetry")
    op.drop_index(
        "ix_sample_slot", table_name="sample", schema="telemetry", postgresql_using="brin"
    )
    op.drop_table("sample", schema="telemetry")
    op.drop_table("rollup_dirty", schema="telemetry")
    op.drop_index(
        "ix_rollup_5m_starts_at",
        table_name="rollup_5m",
        schema="telemetry",
        postgresql_using="brin",
    )
    op.drop_table("rollup_5m", schema="telemetry")
    op.drop_index(
        "ix_rollup_1h_starts_at",
        table_name="rollup_1h",
        schema="telemetry",
        postgresql_using="brin",
    )
    op.drop_table("rollup_1h", schema="telemetry")
    op.drop_table("partition_owner", schema="telemetry")
    op.drop_table("parked_row", schema="telemetry")
    op.drop_index("ix_miner_state_updated_at", table_name="miner_state", schema="telemetry")
    op.drop_table("miner_state", schema="telemetry")
    op.drop_index("ix_miner_model_organisation_id", table_name="miner_model", schema="telemetry")
    op.drop_table("miner_model", schema="telemetry")
    op.drop_index("ix_miner_site_id", table_name="miner", schema="telemetry")
    op.drop_index("ix_miner_partition", table_name="miner", schema="telemetry")
    op.drop_index("ix_miner_organisation_id", table_name="miner", schema="telemetry")
    op.drop_table("miner", schema="telemetry")
    op.drop_index("ix_incident_site_id", table_name="incident", schema="telemetry")
    op.drop_index("ix_incident_organisation_id", table_name="incident", schema="telemetry")
    op.drop_table("incident", schema="telemetry")
    op.drop_index(
        "ix_half_hour_close_organisation_id", table_name="half_hour_close", schema="telemetry"
    )
    op.drop_table("half_hour_close", schema="telemetry")
    op.drop_index("ix_half_hour_site_id", table_name="half_hour", schema="telemetry")
    op.drop_table("half_hour", schema="telemetry")
    op.drop_index(
        "ix_curtailment_interval_miner_id", table_name="curtailment_interval", schema="telemetry"
    )
    op.drop_table("curtailment_interval", schema="telemetry")
    op.drop_index("ix_command_organisation_id", table_name="command", schema="telemetry")
    op.drop_index(
        "ix_command_open",
        table_name="command",
        schema="telemetry",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.drop_index("ix_command_miner_id", table_name="command", schema="telemetry")
    op.drop_table("command", schema="telemetry")
    op.drop_index(
        "uq_alert_open",
        table_name="alert",
        schema="telemetry",
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.drop_index("ix_alert_site_id", table_name="alert", schema="telemetry")
    op.drop_index("ix_alert_organisation_id", table_name="alert", schema="telemetry")
    op.drop_table("alert", schema="telemetry")
    drop_platform_tables("telemetry")
