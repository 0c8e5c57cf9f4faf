"""Add electricity rates, their versions and activations, and the prices of an index."""

from alembic import op

from common.migrations import tenant_policy

revision = "e5a1"
down_revision = "e5a0"
branch_labels = None
depends_on = None

TABLES = (
    "electricity_rates",
    "electricity_rate_version",
    "electricity_rate_activation",
    "index_series",
    "index_price",
)

STATEMENTS = (
    """
    CREATE TABLE energy.electricity_rates (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        name text NOT NULL,
        description text,
        active boolean NOT NULL,
        location text,
        site_id uuid,
        place text NOT NULL,
        timezone text NOT NULL,
        rate_type text NOT NULL,
        flat_rate_usd_per_kwh numeric(24, 9),
        tou_schedule jsonb,
        tiered_rates jsonb,
        daily_service_charge_usd numeric(24, 9) NOT NULL,
        demand_charge_usd_per_kw numeric(24, 9) NOT NULL,
        utility_name text,
        account_number text,
        season_start_month smallint,
        season_end_month smallint,
        notes text,
        currency text NOT NULL,
        body jsonb NOT NULL,
        rate_version integer NOT NULL,
        valid_from timestamptz NOT NULL,
        revision bigint NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        removed_at timestamptz,
        CONSTRAINT pk_electricity_rates PRIMARY KEY (id),
        CONSTRAINT ck_electricity_rates_removed_is_not_active
            CHECK (NOT (active AND removed_at IS NOT NULL))
    )
    """,
    """
    CREATE INDEX ix_electricity_rates_organisation_id
        ON energy.electricity_rates (organisation_id, id)
    """,
    """
    CREATE UNIQUE INDEX uq_electricity_rates_active_place
        ON energy.electricity_rates (organisation_id, place) WHERE active
    """,
    """
    CREATE TABLE energy.electricity_rate_version (
        organisation_id uuid NOT NULL,
        rate_id uuid NOT NULL,
        version integer NOT NULL,
        valid_from timestamptz NOT NULL,
        name text NOT NULL,
        body jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        created_by uuid NOT NULL,
        CONSTRAINT pk_electricity_rate_version PRIMARY KEY (rate_id, version),
        CONSTRAINT fk_electricity_rate_version_rate_id_electricity_rates
            FOREIGN KEY (rate_id) REFERENCES energy.electricity_rates (id)
    )
    """,
    """
    CREATE INDEX ix_electricity_rate_version_organisation_id
        ON energy.electricity_rate_version (organisation_id, rate_id)
    """,
    """
    CREATE TABLE energy.electricity_rate_activation (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        rate_id uuid NOT NULL,
        place text NOT NULL,
        active_from timestamptz NOT NULL,
        active_until timestamptz,
        CONSTRAINT pk_electricity_rate_activation PRIMARY KEY (id),
        CONSTRAINT fk_electricity_rate_activation_rate_id_electricity_rates
            FOREIGN KEY (rate_id) REFERENCES energy.electricity_rates (id),
        CONSTRAINT ck_electricity_rate_activation_not_empty CHECK (active_from < active_until)
    )
    """,
    """
    CREATE INDEX ix_electricity_rate_activation_place
        ON energy.electricity_rate_activation (organisation_id, place, active_from)
    """,
    """
    CREATE INDEX ix_electricity_rate_activation_rate_id
        ON energy.electricity_rate_activation (rate_id)
    """,
    """
    CREATE UNIQUE INDEX uq_electricity_rate_activation_open
        ON energy.electricity_rate_activation (organisation_id, place)
        WHERE active_until IS NULL
    """,
    """
    CREATE TABLE energy.index_series (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        name text NOT NULL,
        currency text NOT NULL,
        source text NOT NULL,
        note text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        CONSTRAINT pk_index_series PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_index_series_organisation_id ON energy.index_series (organisation_id, id)",
    """
    CREATE TABLE energy.index_price (
        organisation_id uuid NOT NULL,
        series_id uuid NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz,
        price_per_mwh numeric(24, 9) NOT NULL,
        CONSTRAINT pk_index_price PRIMARY KEY (series_id, starts_at),
        CONSTRAINT fk_index_price_series_id_index_series
            FOREIGN KEY (series_id) REFERENCES energy.index_series (id) ON DELETE CASCADE,
        CONSTRAINT ck_index_price_not_empty CHECK (starts_at < ends_at)
    )
    """,
)


def upgrade() -> None:
    """Apply this revision."""
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("energy", table)


def downgrade() -> None:
    """Take this revision back."""
    for table in reversed(TABLES):
        op.drop_table(table, schema="energy")
