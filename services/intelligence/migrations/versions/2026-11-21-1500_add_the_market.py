"""Add the market: candles, tickers, snapshots, and what the calculator says."""

from alembic import op

from common.migrations import tenant_policy

revision = "i4a1"
down_revision = "a9a5e3ab56b8"
branch_labels = None
depends_on = None

TABLES = ("candle", "ticker", "market_analytics", "calculator_quote", "network_epoch")

STATEMENTS = (
    """
    CREATE TABLE intelligence.candle (
        organisation_id uuid NOT NULL,
        venue text NOT NULL,
        interval text NOT NULL,
        opened_at timestamptz NOT NULL,
        open numeric(20, 8) NOT NULL,
        high numeric(20, 8) NOT NULL,
        low numeric(20, 8) NOT NULL,
        close numeric(20, 8) NOT NULL,
        volume numeric(24, 8) NOT NULL,
        venues smallint NOT NULL,
        disputed boolean NOT NULL,
        simulated boolean NOT NULL,
        stored_at timestamptz DEFAULT now() NOT NULL,
        CONSTRAINT pk_candle PRIMARY KEY (venue, interval, opened_at)
    )
    """,
    "CREATE INDEX ix_candle_interval ON intelligence.candle (interval, opened_at)",
    """
    CREATE TABLE intelligence.ticker (
        organisation_id uuid NOT NULL,
        venue text NOT NULL,
        pair text NOT NULL,
        price_usd numeric(20, 8),
        bid_usd numeric(20, 8),
        ask_usd numeric(20, 8),
        volume_btc_24h numeric(24, 8),
        at timestamptz,
        simulated boolean NOT NULL,
        failures integer NOT NULL,
        failing_since timestamptz,
        last_error text,
        updated_at timestamptz NOT NULL,
        CONSTRAINT pk_ticker PRIMARY KEY (venue)
    )
    """,
    """
    CREATE TABLE intelligence.market_analytics (
        id uuid NOT NULL,
        organisation_id uuid NOT NULL,
        btc_price numeric(20, 8) NOT NULL,
        vwap_usd numeric(20, 8),
        network_hashrate numeric(20, 6),
        network_difficulty numeric(40, 12),
        volume_24h numeric(24, 8) NOT NULL,
        venues jsonb NOT NULL,
        dropped jsonb NOT NULL,
        agrees boolean NOT NULL,
        simulated boolean NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT pk_market_analytics PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX ix_market_analytics_created_at ON intelligence.market_analytics (created_at)",
    """
    CREATE TABLE intelligence.calculator_quote (
        organisation_id uuid NOT NULL,
        pair text NOT NULL,
        version bigint NOT NULL,
        price_usd numeric(20, 8) NOT NULL,
        at timestamptz NOT NULL,
        source text NOT NULL,
        stale boolean NOT NULL,
        simulated boolean NOT NULL,
        difficulty numeric(40, 12),
        network_hashrate_ehs numeric(20, 6),
        subsidy_btc numeric(16, 8),
        fees_btc_per_block numeric(16, 8),
        hashprice_usd_per_ths_day numeric(20, 12),
        hashprice_btc_per_ths_day numeric(24, 18),
        CONSTRAINT pk_calculator_quote PRIMARY KEY (pair, version)
    )
    """,
    "CREATE INDEX ix_calculator_quote_at ON intelligence.calculator_quote (pair, at)",
    """
    CREATE TABLE intelligence.network_epoch (
        organisation_id uuid NOT NULL,
        height integer NOT NULL,
        started_at timestamptz NOT NULL,
        difficulty numeric(40, 12) NOT NULL,
        bits text,
        subsidy_btc numeric(16, 8) NOT NULL,
        simulated boolean NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_network_epoch PRIMARY KEY (height)
    )
    """,
)


def upgrade() -> None:
    """Apply this revision."""
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("intelligence", table, shared=True)


def downgrade() -> None:
    """Take this revision back."""
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE intelligence.{table}")
