"""Add savings, reconciliations, carbon intensity and reference rates."""

from alembic import op

from common.migrations import tenant_policy

revision = "e5a4"
down_revision = "e5a3"
branch_labels = None
depends_on = None

WITH_CLIENT = ("saving",)
SHARED = ("reference_rate", "carbon_intensity")
TABLES = (
    "reference_rate",
    "carbon_intensity",
    "carbon_setting",
    "reconciliation",
    "curtailment_plan",
    "curtailed_machine",
    "saving",
)

STATEMENTS = (
    """
    CREATE TABLE energy.reference_rate (
        organisation_id uuid NOT NULL,
        day date NOT NULL,
        currency text NOT NULL,
        per_eur numeric(20, 10) NOT NULL,
        source text NOT NULL,
        simulated boolean NOT NULL,
        fetched_at timestamptz NOT NULL,
        CONSTRAINT pk_reference_rate PRIMARY KEY (day, currency)
    )
    """,
    "CREATE INDEX ix_reference_rate_currency ON energy.reference_rate (currency, day)",
    """
    CREATE TABLE energy.carbon_intensity (
        organisation_id uuid NOT NULL,
        region text NOT NULL,
        starts_at timestamptz NOT NULL,
        forecast_g_per_kwh numeric(10, 3),
        actual_g_per_kwh numeric(10, 3),
        source text NOT NULL,
        simulated boolean NOT NULL,
        fetched_at timestamptz NOT NULL,
        CONSTRAINT pk_carbon_intensity PRIMARY KEY (region, starts_at)
    )
    """,
    """
    CREATE TABLE energy.carbon_setting (
        organisation_id uuid NOT NULL,
        site_id uuid NOT NULL,
        region text,
        stated_g_per_kwh numeric(10, 3),
        stated_source text,
        updated_by uuid NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT pk_carbon_setting PRIMARY KEY (site_id)
    )
    """,
    (
        "CREATE INDEX ix_carbon_setting_organisation_id "
        "ON energy.carbon_setting (organisation_id, site_id)"
    ),
    """
    CREATE TABLE energy.reconciliation (
        organisation_id uuid NOT NULL,
        id uuid NOT NULL,
        site_id uuid NOT NULL,
        period_start date NOT NULL,
        period_end date NOT NULL,
        timezone text NOT NULL,
        utility_name text,
        invoice_number text,
        file_sha256 text NOT NULL,
        currency text NOT NULL,
        their_total numeric(20, 6) NOT NULL,
        our_total numeric(20, 6) NOT NULL,
        difference numeric(20, 6) NOT NULL,
        causes jsonb NOT NULL,
        differences jsonb NOT NULL,
        their_lines jsonb NOT NULL,
        our_lines jsonb NOT NULL,
        provenance jsonb NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_reconciliation PRIMARY KEY (id)
    )
    """,
    (
        "CREATE INDEX ix_reconciliation_organisation_id "
        "ON energy.reconciliation (organisation_id, site_id, period_start)"
    ),
    """
    CREATE TABLE energy.curtailment_plan (
        organisation_id uuid NOT NULL,
        id uuid NOT NULL,
        site_id uuid NOT NULL,
        plan_type text,
        status text,
        at timestamptz NOT NULL,
        over_at timestamptz,
        due boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_curtailment_plan PRIMARY KEY (id)
    )
    """,
    (
        "CREATE INDEX ix_curtailment_plan_organisation_id "
        "ON energy.curtailment_plan (organisation_id, id)"
    ),
    "CREATE INDEX ix_curtailment_plan_due ON energy.curtailment_plan (id) WHERE due",
    """
    CREATE TABLE energy.curtailed_machine (
        organisation_id uuid NOT NULL,
        command_id uuid NOT NULL,
        plan_id uuid NOT NULL,
        miner_id uuid NOT NULL,
        site_id uuid NOT NULL,
        stopped_at timestamptz NOT NULL,
        ended_at timestamptz,
        power_before_w numeric(14, 3),
        power_after_w numeric(14, 3),
        estimated boolean NOT NULL,
        CONSTRAINT pk_curtailed_machine PRIMARY KEY (command_id)
    )
    """,
    "CREATE INDEX ix_curtailed_machine_plan_id ON energy.curtailed_machine (plan_id, miner_id)",
    (
        "CREATE INDEX ix_curtailed_machine_organisation_id "
        "ON energy.curtailed_machine (organisation_id, site_id, stopped_at)"
    ),
    """
    CREATE TABLE energy.saving (
        organisation_id uuid NOT NULL,
        client_id uuid,
        id uuid NOT NULL,
        kind text NOT NULL,
        source_id uuid NOT NULL,
        scope text NOT NULL,
        site_id uuid NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz,
        state text NOT NULL,
        machines integer,
        avoided_kwh numeric(20, 6),
        currency text,
        energy_cost_avoided numeric(20, 6),
        other_cost_avoided numeric(20, 6),
        cost_avoided numeric(20, 6),
        btc_not_mined numeric(24, 12),
        revenue_lost_usd numeric(20, 6),
        cost_avoided_usd numeric(20, 6),
        net_usd numeric(20, 6),
        reasons jsonb NOT NULL,
        baseline jsonb NOT NULL,
        provenance jsonb NOT NULL,
        simulated boolean NOT NULL,
        settled_at timestamptz NOT NULL,
        CONSTRAINT pk_saving PRIMARY KEY (id)
    )
    """,
    (
        "CREATE UNIQUE INDEX uq_saving_source_id ON energy.saving (source_id, scope, client_id) "
        "NULLS NOT DISTINCT"
    ),
    "CREATE INDEX ix_saving_organisation_id ON energy.saving (organisation_id, site_id, starts_at)",
)


def upgrade() -> None:
    """Apply this revision."""
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("energy", table, client=table in WITH_CLIENT, shared=table in SHARED)


def downgrade() -> None:
    """Take this revision back."""
    for table in reversed(TABLES):
        op.drop_table(table, schema="energy")
