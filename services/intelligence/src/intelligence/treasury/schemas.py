"""Bodies of the treasury: what is held and what is settled. Amounts are decimal strings."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from intelligence.domain.lots import CostBasis
from intelligence.treasury.amounts import (
    Btc,
    BtcIn,
    BtcOrNoneIn,
    Hashrate,
    HashrateIn,
    PriceIn,
    TimePassed,
    Usd,
    UsdIn,
)

USD: Literal["USD"] = "USD"


def _named(text: str) -> str:
    if not text.strip():
        msg = "must not be blank"
        raise ValueError(msg)
    return text.strip()


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_named)]
Note = Annotated[str | None, Field(max_length=500)]
Reference = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", examples=["9f2c…:0"])
]


class Strict(BaseModel):
    """A body in which an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid")


class SettingsChange(Strict):
    """What shall be settled; a field that is left out stays as it is, null empties it."""

    cost_basis: CostBasis | None = None
    confirm_cost_basis_switch: bool = Field(
        default=False,
        description="After the first sale the cost basis changes only with this: what was sold "
        "keeps its cost, what is held goes on at the cost it has by then.",
    )
    approval_limit_usd: UsdIn | None = Field(
        default=None, description="Over this, two persons must approve. Null: one always suffices."
    )
    power_bill_usd_per_day: UsdIn | None = None
    btc_mined_per_day: BtcOrNoneIn | None = None
    hashrate_ths: HashrateIn | None = Field(
        default=None,
        description="Of the fleet; with the quote's hashprice it gives the bitcoin mined a day "
        "where that is not stated.",
    )
    break_even_usd_per_btc: PriceIn | None = Field(
        default=None, description="Instead of bill over bitcoin mined."
    )


class TreasurySettings(BaseModel):
    """What an organisation has settled."""

    model_config = ConfigDict(from_attributes=True)

    cost_basis: CostBasis
    approval_limit_usd: Usd | None
    power_bill_usd_per_day: Usd | None
    btc_mined_per_day: Btc | None
    hashrate_ths: Hashrate | None
    break_even_usd_per_btc: Usd | None
    updated_at: datetime | None
    currency: Literal["USD"] = USD


WalletKind = Literal["onchain", "exchange", "pool", "cash"]


class NewWallet(Strict):
    """A place that holds bitcoin, or (`cash`) an account that holds dollars."""

    name: Name
    kind: WalletKind
    address: Annotated[str | None, Field(max_length=200, pattern=r"^[\x21-\x7e]+$")] = None
    balance_usd: UsdIn | None = Field(default=None, description="Of a cash account.")

    @model_validator(mode="after")
    def _money_is_in_accounts(self) -> "NewWallet":
        if self.balance_usd is not None and self.kind != "cash":
            msg = "balance_usd belongs to a cash account; a wallet's balance is that of its lots"
            raise ValueError(msg)
        return self


class WalletChange(Strict):
    """What shall change; a field that is left out stays as it is."""

    name: Name | None = None
    address: Annotated[str | None, Field(max_length=200, pattern=r"^[\x21-\x7e]+$")] = None
    balance_usd: UsdIn | None = None
    archived: bool | None = None


class WalletView(BaseModel):
    """A wallet or account, and what it holds."""

    id: UUID
    name: str
    kind: WalletKind
    address: str | None
    archived: bool
    btc: Btc
    cost_usd: Usd
    balance_usd: Usd | None
    balance_at: datetime | None
    created_at: datetime
    currency: Literal["USD"] = USD


class NewLot(Strict):
    """Bitcoin received. Without a price the stored close of the day of receipt counts."""

    wallet_id: UUID
    received_at: TimePassed
    btc: BtcIn
    price_usd: PriceIn | None = None
    reference: Reference | None = Field(
        default=None, description="Transaction or payout id; the same id is never two lots."
    )
    note: Note = None


class LotView(BaseModel):
    """A lot and what is left of it. `unrealised_usd` is at the present price, if there is one."""

    id: UUID
    wallet_id: UUID
    received_at: datetime
    btc: Btc
    price_usd: Usd
    price_source: str
    cost_usd: Usd
    remaining_btc: Btc
    remaining_cost_usd: Usd
    unrealised_usd: Usd | None
    source: Literal["manual", "csv", "pool"]
    reference: str | None
    simulated: bool
    note: str | None
    created_at: datetime
    currency: Literal["USD"] = USD


class PriceView(BaseModel):
    """The price of one bitcoin: whose, how old, and whether it is to be relied on."""

    price_usd: Usd
    source: str
    at: datetime
    age_s: int
    stale: bool
    simulated: bool


class BreakEvenView(BaseModel):
    """At which price of a bitcoin its power is just paid; null with what is missing."""

    usd_per_btc: Usd | None
    source: Literal["given", "power_bill", "hashprice", "unknown"]
    reason: str
    missing: list[str]


class HoldingsView(BaseModel):
    """All that is held and all that was ever sold."""

    cost_basis: CostBasis
    lots: int
    btc: Btc
    cost_usd: Usd
    average_cost_usd: Usd | None
    price: PriceView | None
    market_value_usd: Usd | None
    unrealised_usd: Usd | None
    sold_btc: Btc
    proceeds_usd: Usd
    fees_usd: Usd
    realised_usd: Usd
    received_btc: Btc
    currency: Literal["USD"] = USD


class LowPriceView(BaseModel):
    """The price that is undercut in one case out of twenty, so many days ahead."""

    price_usd: Usd
    days: int
    forecast_at: datetime
    method: str
    simulated: bool
    reason: str


class RunwayView(BaseModel):
    """For how many days of power bills the bitcoin and the cash suffice."""

    btc: Btc
    cash_usd: Usd
    power_bill_usd_per_day: Usd | None
    price: PriceView | None
    low_price: LowPriceView | None
    days_of_cash: float | None
    days_at_market: float | None
    days_at_low_price: float | None
    missing: list[str]
    reason: str
    currency: Literal["USD"] = USD


class PoolImport(Strict):
    """Which pool is asked for which payouts. The token is used once and kept nowhere."""

    wallet_id: UUID
    pool: Literal["braiins"] = "braiins"
    token: SecretStr = Field(min_length=1, max_length=500)
    since: TimePassed | None = None
    dry_run: bool = False


class ImportRow(BaseModel):
    """One row that was not imported, and why."""

    row: int
    column: str | None
    detail: str


class LotsImported(BaseModel):
    """What an import did, or with `dry_run` would do."""

    dry_run: bool
    rows: int
    imported: int
    imported_btc: Btc
    duplicates: list[int] = Field(description="Rows whose payout is already a lot.")
    errors: list[ImportRow]
    simulated: bool
