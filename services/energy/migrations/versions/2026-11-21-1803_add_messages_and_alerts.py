"""Add messages, alerts, budgets and signals."""

from alembic import op

from common.migrations import create_messaging_tables, drop_messaging_tables, tenant_policy

revision = "e5a3"
down_revision = "e5a2"
branch_labels = None
depends_on = None

WITH_CLIENT = ("person", "cost_rule", "cost_alert", "budget", "budget_notice")
TABLES = (*WITH_CLIENT, "energy_signal")

STATEMENTS = (
    """
    CREATE TABLE energy.person (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        role text NOT NULL,
        email text NOT NULL,
        active boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_person PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_person_organisation_id ON energy.person (organisation_id, id)",
    """
    CREATE TABLE energy.cost_rule (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        site_id uuid,
        name text NOT NULL,
        metric text NOT NULL,
        threshold numeric(24, 9) NOT NULL,
        currency text NOT NULL,
        clear_percent numeric(5, 2) NOT NULL,
        recipients jsonb NOT NULL,
        mail boolean NOT NULL,
        webhook boolean NOT NULL,
        active boolean NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        version integer NOT NULL,
        CONSTRAINT pk_cost_rule PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_cost_rule_organisation_id ON energy.cost_rule (organisation_id, id)",
    """
    CREATE TABLE energy.cost_alert (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        rule_id uuid NOT NULL,
        rule_name text NOT NULL,
        site_id uuid,
        metric text NOT NULL,
        threshold numeric(24, 9) NOT NULL,
        currency text NOT NULL,
        value numeric(24, 9) NOT NULL,
        highest numeric(24, 9) NOT NULL,
        details jsonb NOT NULL,
        fired_at timestamptz NOT NULL,
        cleared_at timestamptz,
        acknowledged_at timestamptz,
        acknowledged_by uuid,
        CONSTRAINT pk_cost_alert PRIMARY KEY (id)
    )
    """,
    """
    CREATE UNIQUE INDEX uq_cost_alert_open ON energy.cost_alert (rule_id, site_id)
    NULLS NOT DISTINCT WHERE cleared_at IS NULL
    """,
    "CREATE INDEX ix_cost_alert_organisation_id ON energy.cost_alert (organisation_id, id)",
    """
    CREATE TABLE energy.budget (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        site_id uuid,
        name text NOT NULL,
        monthly_amount numeric(20, 6) NOT NULL,
        currency text NOT NULL,
        timezone text NOT NULL,
        thresholds jsonb NOT NULL,
        forecast_percent smallint,
        first_month date NOT NULL,
        last_month date,
        recipients jsonb NOT NULL,
        mail boolean NOT NULL,
        webhook boolean NOT NULL,
        active boolean NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        version integer NOT NULL,
        CONSTRAINT pk_budget PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_budget_organisation_id ON energy.budget (organisation_id, id)",
    """
    CREATE TABLE energy.budget_notice (
        budget_id uuid NOT NULL,
        month date NOT NULL,
        basis text NOT NULL,
        percent smallint NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        amount numeric(20, 6) NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT pk_budget_notice PRIMARY KEY (budget_id, month, basis, percent)
    )
    """,
    """
    CREATE INDEX ix_budget_notice_organisation_id
    ON energy.budget_notice (organisation_id, budget_id, month)
    """,
    """
    CREATE TABLE energy.energy_signal (
        site_id uuid NOT NULL,
        miner_model text NOT NULL,
        organisation_id uuid NOT NULL,
        efficiency_j_per_th numeric(12, 4),
        state text,
        reason text,
        price_usd_per_kwh numeric(24, 9),
        break_even_usd_per_kwh numeric(24, 9),
        hysteresis_percent numeric(5, 2) NOT NULL,
        rate_id uuid,
        rate_version integer,
        quote_at timestamptz,
        quote_stale boolean NOT NULL,
        simulated boolean NOT NULL,
        valid_until timestamptz,
        at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        published_price numeric(24, 9),
        published_until timestamptz,
        version bigint NOT NULL,
        CONSTRAINT pk_energy_signal PRIMARY KEY (site_id, miner_model)
    )
    """,
    """
    CREATE INDEX ix_energy_signal_organisation_id
    ON energy.energy_signal (organisation_id, site_id, miner_model)
    """,
)


def upgrade() -> None:
    """Apply this revision."""
    create_messaging_tables("energy")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("energy", table, client=table in WITH_CLIENT)


def downgrade() -> None:
    """Take this revision back."""
    for table in reversed(TABLES):
        op.drop_table(table, schema="energy")
    drop_messaging_tables("energy")
