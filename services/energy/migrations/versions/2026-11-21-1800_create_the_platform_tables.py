"""Create the tables that every service has, and what is kept of what other services say."""

from alembic import op

from common.migrations import create_platform_tables, drop_platform_tables, tenant_policy

revision = "e5a0"
down_revision = None
branch_labels = None
depends_on = None

WITH_CLIENT = ("miner",)
SHARED = ("miner_model", "quote", "network_epoch")
TABLES = ("site", "miner", "miner_model", "client", "quote", "network_epoch")

STATEMENTS = (
    """
    CREATE TABLE energy.site (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        name text NOT NULL,
        location text NOT NULL,
        timezone text NOT NULL,
        removed boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_site PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_site_organisation_id ON energy.site (organisation_id, id)",
    """
    CREATE TABLE energy.miner (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        client_id uuid,
        site_id uuid NOT NULL,
        serial_number text NOT NULL,
        model text NOT NULL,
        ip text NOT NULL,
        status text NOT NULL,
        nameplate_hashrate_ths double precision,
        nameplate_power_w double precision,
        removed boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_miner PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_miner_organisation_id ON energy.miner (organisation_id, id)",
    "CREATE INDEX ix_miner_site_id ON energy.miner (site_id)",
    """
    CREATE TABLE energy.miner_model (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        name text NOT NULL,
        manufacturer text NOT NULL,
        aliases text[] NOT NULL,
        hashrate_ths double precision NOT NULL,
        power_w double precision NOT NULL,
        removed boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_miner_model PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_miner_model_organisation_id ON energy.miner_model (organisation_id, id)",
    """
    CREATE TABLE energy.client (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        name text NOT NULL,
        active boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_client PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_client_organisation_id ON energy.client (organisation_id, id)",
    """
    CREATE TABLE energy.quote (
        organisation_id uuid NOT NULL,
        pair text NOT NULL,
        version bigint NOT NULL,
        price_usd numeric(20, 6) NOT NULL,
        at timestamptz NOT NULL,
        source text NOT NULL,
        stale boolean NOT NULL,
        simulated boolean NOT NULL,
        difficulty numeric(40, 12),
        subsidy_btc numeric(16, 8),
        hashprice_usd_per_ths_day numeric(20, 12),
        hashprice_btc_per_ths_day numeric(24, 18),
        CONSTRAINT pk_quote PRIMARY KEY (pair, version)
    )
    """,
    "CREATE INDEX ix_quote_at ON energy.quote (pair, at)",
    """
    CREATE TABLE energy.network_epoch (
        organisation_id uuid NOT NULL,
        height integer NOT NULL,
        next_height integer NOT NULL,
        started_at timestamptz NOT NULL,
        difficulty numeric(40, 12) NOT NULL,
        subsidy_btc numeric(16, 8) NOT NULL,
        simulated boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_network_epoch PRIMARY KEY (height)
    )
    """,
    "CREATE INDEX ix_network_epoch_started_at ON energy.network_epoch (started_at)",
)


def upgrade() -> None:
    """Apply this revision."""
    create_platform_tables("energy")
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("energy", table, client=table in WITH_CLIENT, shared=table in SHARED)


def downgrade() -> None:
    """Take this revision back."""
    for table in reversed(TABLES):
        op.drop_table(table, schema="energy")
    drop_platform_tables("energy")
