"""Add the treasury."""

from alembic import op

from common.migrations import drop_job_queue, job_queue, tenant_policy

revision = "i4a4"
down_revision = "i4a3"
branch_labels = None
depends_on = None

TABLES = (
    "treasury_setting",
    "treasury_wallet",
    "treasury_lot",
    "treasury_rule",
    "treasury_proposal",
    "treasury_decision",
    "treasury_fill",
    "treasury_disposal",
    "treasury_backtest",
)
STATEMENTS = (
    """
    CREATE TABLE intelligence.treasury_setting (
        organisation_id UUID NOT NULL,
        cost_basis TEXT NOT NULL,
        approval_limit_usd NUMERIC(24, 6),
        power_bill_usd_per_day NUMERIC(24, 6),
        btc_mined_per_day NUMERIC(20, 8),
        hashrate_ths NUMERIC(18, 3),
        break_even_usd_per_btc NUMERIC(24, 6),
        updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_treasury_setting PRIMARY KEY (organisation_id)
    )
    """,
    """
    CREATE TABLE intelligence.treasury_wallet (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        address TEXT,
        balance_usd NUMERIC(24, 6),
        balance_at TIMESTAMP WITH TIME ZONE,
        archived BOOLEAN NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_wallet PRIMARY KEY (id),
        CONSTRAINT uq_treasury_wallet_organisation_id_name UNIQUE (organisation_id, name)
    )
    """,
    """
    CREATE TABLE intelligence.treasury_lot (
        id UUID NOT NULL,
        wallet_id UUID NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE NOT NULL,
        btc NUMERIC(20, 8) NOT NULL,
        price_usd NUMERIC(24, 6) NOT NULL,
        price_source TEXT NOT NULL,
        cost_usd NUMERIC(24, 6) NOT NULL,
        remaining_btc NUMERIC(20, 8) NOT NULL,
        remaining_cost_usd NUMERIC(24, 6) NOT NULL,
        source TEXT NOT NULL,
        reference TEXT,
        simulated BOOLEAN NOT NULL,
        note TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_lot PRIMARY KEY (id),
        CONSTRAINT uq_treasury_lot_organisation_id_reference UNIQUE (organisation_id, reference),
        CONSTRAINT fk_treasury_lot_wallet_id_treasury_wallet
            FOREIGN KEY(wallet_id) REFERENCES intelligence.treasury_wallet (id)
    )
    """,
    """
    CREATE INDEX ix_treasury_lot_open
        ON intelligence.treasury_lot (organisation_id, wallet_id)
        WHERE remaining_btc > 0
    """,
    """
    CREATE INDEX ix_treasury_lot_received
        ON intelligence.treasury_lot (organisation_id, received_at, id)
    """,
    """
    CREATE TABLE intelligence.treasury_rule (
        id UUID NOT NULL,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        parameters JSONB NOT NULL,
        wallet_id UUID,
        enabled BOOLEAN NOT NULL,
        automatic BOOLEAN NOT NULL,
        removed BOOLEAN NOT NULL,
        steps_done JSONB NOT NULL,
        last_proposed_at TIMESTAMP WITH TIME ZONE,
        created_by UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_rule PRIMARY KEY (id),
        CONSTRAINT fk_treasury_rule_wallet_id_treasury_wallet
            FOREIGN KEY(wallet_id) REFERENCES intelligence.treasury_wallet (id)
    )
    """,
    """
    CREATE UNIQUE INDEX uq_treasury_rule_name
        ON intelligence.treasury_rule (organisation_id, name)
        WHERE NOT removed
    """,
    """
    CREATE TABLE intelligence.treasury_proposal (
        id UUID NOT NULL,
        rule_id UUID,
        wallet_id UUID,
        kind TEXT NOT NULL,
        status VARCHAR(16) NOT NULL,
        btc NUMERIC(20, 8) NOT NULL,
        filled_btc NUMERIC(20, 8) NOT NULL,
        price_usd NUMERIC(24, 6) NOT NULL,
        price_source TEXT NOT NULL,
        price_at TIMESTAMP WITH TIME ZONE NOT NULL,
        price_stale BOOLEAN NOT NULL,
        price_simulated BOOLEAN NOT NULL,
        sizing_price_usd NUMERIC(24, 6),
        break_even_usd NUMERIC(24, 6),
        break_even_source TEXT NOT NULL,
        margin_percent NUMERIC(18, 6),
        min_price_usd NUMERIC(24, 6),
        value_usd NUMERIC(24, 6) NOT NULL,
        reason TEXT NOT NULL,
        missing JSONB NOT NULL,
        steps JSONB NOT NULL,
        approvals_needed INTEGER NOT NULL,
        created_by UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        closed_at TIMESTAMP WITH TIME ZONE,
        version INTEGER NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_proposal PRIMARY KEY (id),
        CONSTRAINT fk_treasury_proposal_rule_id_treasury_rule
            FOREIGN KEY(rule_id) REFERENCES intelligence.treasury_rule (id),
        CONSTRAINT fk_treasury_proposal_wallet_id_treasury_wallet
            FOREIGN KEY(wallet_id) REFERENCES intelligence.treasury_wallet (id)
    )
    """,
    """
    CREATE INDEX ix_treasury_proposal_open
        ON intelligence.treasury_proposal (expires_at)
        WHERE status IN ('proposed', 'approved', 'partially_filled')
    """,
    """
    CREATE INDEX ix_treasury_proposal_organisation_id
        ON intelligence.treasury_proposal (organisation_id, id)
    """,
    """
    CREATE INDEX ix_treasury_proposal_rule_id ON intelligence.treasury_proposal (rule_id)
    """,
    """
    CREATE TABLE intelligence.treasury_decision (
        proposal_id UUID NOT NULL,
        person_id UUID NOT NULL,
        verdict TEXT NOT NULL,
        note TEXT,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_decision PRIMARY KEY (proposal_id, person_id),
        CONSTRAINT fk_treasury_decision_proposal_id_treasury_proposal
            FOREIGN KEY(proposal_id) REFERENCES intelligence.treasury_proposal (id)
    )
    """,
    """
    CREATE TABLE intelligence.treasury_fill (
        id UUID NOT NULL,
        proposal_id UUID NOT NULL,
        account_id UUID,
        txid TEXT,
        btc NUMERIC(20, 8) NOT NULL,
        price_usd NUMERIC(24, 6) NOT NULL,
        fee_usd NUMERIC(24, 6) NOT NULL,
        proceeds_usd NUMERIC(24, 6) NOT NULL,
        cost_usd NUMERIC(24, 6) NOT NULL,
        realised_usd NUMERIC(24, 6) NOT NULL,
        cost_basis TEXT NOT NULL,
        below_min_price BOOLEAN NOT NULL,
        filled_at TIMESTAMP WITH TIME ZONE NOT NULL,
        recorded_by UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_fill PRIMARY KEY (id),
        CONSTRAINT uq_treasury_fill_organisation_id_txid UNIQUE (organisation_id, txid),
        CONSTRAINT fk_treasury_fill_proposal_id_treasury_proposal
            FOREIGN KEY(proposal_id) REFERENCES intelligence.treasury_proposal (id),
        CONSTRAINT fk_treasury_fill_account_id_treasury_wallet
            FOREIGN KEY(account_id) REFERENCES intelligence.treasury_wallet (id)
    )
    """,
    """
    CREATE INDEX ix_treasury_fill_organisation_id
        ON intelligence.treasury_fill (organisation_id, id)
    """,
    """
    CREATE INDEX ix_treasury_fill_proposal_id ON intelligence.treasury_fill (proposal_id)
    """,
    """
    CREATE TABLE intelligence.treasury_disposal (
        fill_id UUID NOT NULL,
        lot_id UUID NOT NULL,
        btc NUMERIC(20, 8) NOT NULL,
        cost_usd NUMERIC(24, 6) NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_disposal PRIMARY KEY (fill_id, lot_id),
        CONSTRAINT fk_treasury_disposal_fill_id_treasury_fill
            FOREIGN KEY(fill_id) REFERENCES intelligence.treasury_fill (id),
        CONSTRAINT fk_treasury_disposal_lot_id_treasury_lot
            FOREIGN KEY(lot_id) REFERENCES intelligence.treasury_lot (id)
    )
    """,
    """
    CREATE INDEX ix_treasury_disposal_lot_id ON intelligence.treasury_disposal (lot_id)
    """,
    """
    CREATE TABLE intelligence.treasury_backtest (
        id UUID NOT NULL,
        job_id UUID,
        request JSONB NOT NULL,
        result JSONB,
        created_by UUID NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        organisation_id UUID NOT NULL,
        CONSTRAINT pk_treasury_backtest PRIMARY KEY (id)
    )
    """,
    """
    CREATE INDEX ix_treasury_backtest_organisation_id
        ON intelligence.treasury_backtest (organisation_id, id)
    """,
)


def upgrade() -> None:
    """Apply this revision."""
    for statement in STATEMENTS:
        op.execute(statement)
    for table in TABLES:
        tenant_policy("intelligence", table)
    job_queue("intelligence")


def downgrade() -> None:
    """Take this revision back."""
    drop_job_queue("intelligence")
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE intelligence.{table}")
