"""Bodies of rules, proposals, fills and back-tests. Amounts are decimal strings."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from intelligence.domain.lots import CostBasis
from intelligence.domain.proposals import ProposalStatus
from intelligence.domain.rules import LadderStep, Rule, RuleKind
from intelligence.treasury.amounts import (
    Btc,
    BtcIn,
    BtcOrNoneIn,
    MultipleIn,
    Percent,
    PercentIn,
    PriceIn,
    TimePassed,
    Usd,
    UsdIn,
)
from intelligence.treasury.schemas import (
    USD,
    BreakEvenView,
    LowPriceView,
    Name,
    Note,
    PriceView,
    Reference,
    Strict,
)

Days = Annotated[int, Field(ge=1, le=365)]


class _Parameters(Strict):
    model_config = ConfigDict(extra="forbid", frozen=True)

    break_even_multiple: MultipleIn | None = Field(
        default=None, description="k of `min_price = break-even times k`: never sell under it."
    )
    keep_btc: BtcOrNoneIn = Field(default=Decimal(0), description="Never touched.")

    def rule(self) -> Rule:
        """Return the domain's rule of these parameters."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        fields["kind"] = RuleKind(fields["kind"])
        return Rule(**fields)


class HoldParameters(_Parameters):
    """Sell nothing."""

    kind: Literal["hold"]


class CoverOpexParameters(_Parameters):
    """Sell what pays the next `days` of power, sized at the forecast's 5 % price."""

    kind: Literal["cover_opex"]
    days: Days = 30
    every_days: Days = 30
    cost_multiple: MultipleIn | None = None


class DcaParameters(_Parameters):
    """Sell for the same amount of money at equal intervals."""

    kind: Literal["dca"]
    amount_usd: PriceIn
    every_days: Days = 7


class ThresholdParameters(_Parameters):
    """Sell a share while the price is over a price, or over a multiple of the average cost."""

    kind: Literal["threshold"]
    price_usd: PriceIn | None = None
    cost_multiple: MultipleIn | None = None
    share_percent: PercentIn
    every_days: Days = 14

    @model_validator(mode="after")
    def _has_a_threshold(self) -> "ThresholdParameters":
        if self.price_usd is None and self.cost_multiple is None:
            msg = "give price_usd or cost_multiple"
            raise ValueError(msg)
        return self


class LayeredParameters(_Parameters):
    """Sell min(share, slope times (price / average cost - cost_multiple)) at each interval."""

    kind: Literal["layered"]
    cost_multiple: MultipleIn = Decimal("1.1")
    slope: MultipleIn = Decimal("0.5")
    share_percent: PercentIn = Decimal(10)
    every_days: Days = 1


class LadderStepBody(Strict):
    """One price, and the share of the holding that is sold when it is reached."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    price_usd: PriceIn
    share_percent: PercentIn


class LadderParameters(_Parameters):
    """Sell a share at each of several rising prices, each once."""

    kind: Literal["ladder"]
    steps: tuple[LadderStepBody, ...] = Field(min_length=1, max_length=20)

    @field_validator("steps")
    @classmethod
    def _rises(cls, steps: tuple[LadderStepBody, ...]) -> tuple[LadderStepBody, ...]:
        prices = [step.price_usd for step in steps]
        if prices != sorted(set(prices)):
            msg = "the prices must rise from step to step"
            raise ValueError(msg)
        return steps

    def rule(self) -> Rule:
        """Return the domain's rule of these parameters."""
        return Rule(
            kind=RuleKind.LADDER,
            break_even_multiple=self.break_even_multiple,
            keep_btc=self.keep_btc,
            steps=tuple(LadderStep(step.price_usd, step.share_percent) for step in self.steps),
        )


Parameters = Annotated[
    HoldParameters
    | CoverOpexParameters
    | DcaParameters
    | ThresholdParameters
    | LayeredParameters
    | LadderParameters,
    Field(discriminator="kind"),
]


class NewRule(Strict):
    """A rule. It proposes when it is asked to; it never sells."""

    name: Name
    parameters: Parameters
    wallet_id: UUID | None = Field(default=None, description="Only from this wallet.")
    enabled: bool = True
    automatic: bool = Field(
        default=False,
        description="Propose by itself, every few minutes when it has something to propose, the "
        "price is fresh and no proposal of it is open.",
    )


class RuleChange(Strict):
    """What shall change; new parameters begin their intervals and steps anew."""

    name: Name | None = None
    parameters: Parameters | None = None
    enabled: bool | None = None
    automatic: bool | None = None


class RuleView(BaseModel):
    """A rule."""

    id: UUID
    name: str
    kind: RuleKind
    parameters: dict[str, Any]
    wallet_id: UUID | None
    enabled: bool
    automatic: bool
    last_proposed_at: datetime | None
    created_at: datetime


class Evaluation(BaseModel):
    """What a rule would propose now (0 BTC: nothing), on what grounds, and what it lacks."""

    sell_btc: Btc
    value_usd: Usd
    reason: str
    missing: list[str]
    held_btc: Btc
    free_btc: Btc = Field(description="Held, less what open proposals have left to sell.")
    price: PriceView
    sizing_price_usd: Usd | None
    low_price: LowPriceView | None
    break_even: BreakEvenView
    margin_percent: Percent | None
    min_price_usd: Usd | None
    currency: Literal["USD"] = USD


class NewProposal(Strict):
    """Either a rule that shall propose, or an amount of the caller's own."""

    rule_id: UUID | None = None
    btc: BtcIn | None = None
    wallet_id: UUID | None = None
    min_price_usd: PriceIn | None = None
    price_usd: PriceIn | None = Field(
        default=None,
        description="Only where no quote is known, or it is stale. Such a proposal takes two "
        "persons as soon as a limit is set.",
    )
    reason: Note = None
    expires_in_hours: Annotated[int, Field(ge=1, le=2160)] = 168

    @model_validator(mode="after")
    def _one_of_both(self) -> "NewProposal":
        if (self.rule_id is None) == (self.btc is None):
            msg = "give either rule_id or btc"
            raise ValueError(msg)
        if self.rule_id is not None and (self.wallet_id or self.min_price_usd):
            msg = "wallet and lowest price are the rule's own; leave them out beside rule_id"
            raise ValueError(msg)
        return self


class Verdict(Strict):
    """A person's word."""

    note: Note = None


class DecisionView(BaseModel):
    """Who said what."""

    model_config = ConfigDict(from_attributes=True)

    person_id: UUID
    verdict: Literal["approve", "reject"]
    note: str | None
    at: datetime


class ProposalView(BaseModel):
    """A proposal, the grounds it was made on, and how far it has come."""

    id: UUID
    rule_id: UUID | None
    wallet_id: UUID | None
    kind: str
    status: ProposalStatus
    btc: Btc
    filled_btc: Btc
    remaining_btc: Btc
    value_usd: Usd
    price: PriceView
    sizing_price_usd: Usd | None
    break_even: BreakEvenView
    margin_percent: Percent | None
    min_price_usd: Usd | None
    reason: str
    approvals_needed: int
    approvals: int
    decisions: list[DecisionView]
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    closed_at: datetime | None
    version: int
    currency: Literal["USD"] = USD


class ChosenLot(Strict):
    """What is sold from one lot."""

    lot_id: UUID
    btc: BtcIn


class NewFill(Strict):
    """A sale that was made elsewhere. Repeating it with the same txid changes nothing."""

    proposal_id: UUID
    btc: BtcIn
    price_usd: PriceIn
    fee_usd: UsdIn = Decimal(0)
    filled_at: TimePassed
    txid: Reference | None = None
    account_id: UUID | None = Field(default=None, description="Cash account that got the money.")
    lots: list[ChosenLot] = Field(
        default=[], max_length=1000, description="Only, and always, for the cost basis specific."
    )

    @field_validator("lots")
    @classmethod
    def _each_once(cls, lots: list[ChosenLot]) -> list[ChosenLot]:
        if len({one.lot_id for one in lots}) != len(lots):
            msg = "a lot is named twice"
            raise ValueError(msg)
        return lots


class DisposalView(BaseModel):
    """What was sold from one lot."""

    model_config = ConfigDict(from_attributes=True)

    lot_id: UUID
    btc: Btc
    cost_usd: Usd


class FillView(BaseModel):
    """A recorded sale with its cost and its profit (or loss, below zero)."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    proposal_id: UUID
    account_id: UUID | None
    txid: str | None
    btc: Btc
    price_usd: Usd
    fee_usd: Usd
    proceeds_usd: Usd
    cost_usd: Usd
    realised_usd: Usd
    cost_basis: CostBasis
    below_min_price: bool
    filled_at: datetime
    recorded_by: UUID
    disposals: list[DisposalView]
    currency: Literal["USD"] = USD
