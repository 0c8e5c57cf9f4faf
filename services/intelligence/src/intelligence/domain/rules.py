"""Rules that propose to sell bitcoin. A rule only proposes: people approve, and sell elsewhere.

Each rule sees one situation and answers how much it would sell and why, or why nothing. None sells
under its floor, `min_price = break-even times k`, and none guesses: what it needs and is not given
is named in `missing`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from enum import StrEnum

from intelligence.domain.lots import ZERO, bitcoin, money, worth

HUNDRED = Decimal(100)


class RuleKind(StrEnum):
    """What a rule sells."""

    HOLD = "hold"
    """Nothing, ever."""
    COVER_OPEX = "cover_opex"
    """As much as pays the next days of power."""
    DCA = "dca"
    """The same amount of money at equal intervals."""
    THRESHOLD = "threshold"
    """A share, at intervals, while the price is over a threshold."""
    LAYERED = "layered"
    """A share that grows with the price over what the holding had cost."""
    LADDER = "ladder"
    """A share at each of several rising prices, each once."""


@dataclass(frozen=True, slots=True)
class LadderStep:
    """One price of a ladder, and the share that is sold there."""

    price_usd: Decimal
    share_percent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A kind with its parameters; which of them count depends on the kind."""

    kind: RuleKind
    break_even_multiple: Decimal | None = None
    """k of `min_price = break-even times k`; without it there is no floor."""
    keep_btc: Decimal = ZERO
    """What the rule never touches."""
    days: int = 30
    """cover_opex: how many days of power a sale pays."""
    every_days: int = 7
    """cover_opex, dca, threshold, layered: the least days between two sales."""
    amount_usd: Decimal = ZERO
    """dca: what is sold each time."""
    price_usd: Decimal | None = None
    """threshold: the price, or ..."""
    cost_multiple: Decimal | None = None
    """... the multiple of the average cost from which it sells; also of cover_opex and layered."""
    share_percent: Decimal = ZERO
    """threshold: the share; layered: the most that is sold at once."""
    slope: Decimal = Decimal("0.5")
    """layered: share = slope times (price / cost - cost_multiple)."""
    steps: tuple[LadderStep, ...] = ()
    """ladder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that a rule may look at."""

    at: datetime
    price_usd: Decimal
    held_btc: Decimal
    average_cost_usd: Decimal | None
    break_even_usd: Decimal | None
    power_bill_usd_per_day: Decimal | None
    low_price_usd: Decimal | None
    """The price that is undercut with a probability of 5 % over the days to be covered."""
    last_sale_at: datetime | None = None
    """When this rule proposed last."""
    steps_done: frozenset[int] = frozenset()
    """ladder: the steps (from 0) that are done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How much a rule would sell (0 for nothing), and why."""

    sell_btc: Decimal
    reason: str
    min_price_usd: Decimal | None
    sizing_price_usd: Decimal | None = None
    steps: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Wish:
    btc: Decimal
    reason: str
    sizing_price_usd: Decimal | None = None
    steps: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()


def _nothing(reason: str, *missing: str) -> _Wish:
    return _Wish(ZERO, reason, missing=missing)


def floor_usd(rule: Rule, break_even_usd: Decimal | None) -> Decimal | None:
    """Return `break-even times k`; None without a floor or a known break-even."""
    if rule.break_even_multiple is None or break_even_usd is None:
        return None
    return worth(rule.break_even_multiple, break_even_usd)


def margin_percent(price_usd: Decimal, break_even_usd: Decimal | None) -> Decimal | None:
    """Return what is left of the price over the break-even, in percent of the price."""
    if break_even_usd is None or price_usd == 0:
        return None
    return money((price_usd - break_even_usd) / price_usd * HUNDRED)


def advise(rule: Rule, situation: Situation) -> Advice:
    """Return what the rule would sell now."""
    floor = floor_usd(rule, situation.break_even_usd)
    wish = _before(rule, situation, floor) or _KINDS[rule.kind](rule, situation)
    free = max(ZERO, situation.held_btc - rule.keep_btc)
    sell = min(wish.btc, free)
    reason = wish.reason
    if wish.btc > free:
        reason = f"{reason} Only {free} BTC are free to be sold."
    return Advice(
        sell_btc=sell,
        reason=reason,
        min_price_usd=floor,
        sizing_price_usd=wish.sizing_price_usd,
        steps=wish.steps if sell else (),
        missing=wish.missing,
    )


def _before(rule: Rule, now: Situation, floor: Decimal | None) -> _Wish | None:
    """Return why no rule of any kind would sell now, if that is so."""
    if rule.kind is RuleKind.HOLD:
        return _nothing("The rule holds.")
    if rule.break_even_multiple is not None and floor is None:
        return _nothing("The floor needs the break-even, which is not known.", "break_even_usd")
    if floor is not None and now.price_usd < floor:
        return _nothing(f"The price {now.price_usd} is under the floor {floor} USD.")
    if now.held_btc <= rule.keep_btc:
        return _nothing("Nothing is free to be sold.")
    return _too_early(rule, now)


def _too_early(rule: Rule, now: Situation) -> _Wish | None:
    if rule.kind is RuleKind.LADDER or now.last_sale_at is None:
        return None
    next_at = now.last_sale_at + timedelta(days=rule.every_days)
    if now.at >= next_at:
        return None
    return _nothing(f"The rule proposed last at {now.last_sale_at:%Y-%m-%d}; next {next_at:%F}.")


def _hold(_: Rule, __: Situation) -> _Wish:
    return _nothing("The rule holds.")


def _cover_opex(rule: Rule, now: Situation) -> _Wish:
    bill = now.power_bill_usd_per_day
    if bill is None:
        return _nothing("The power bill is not known.", "power_bill_usd_per_day")
    waits = _under_cost_multiple(rule, now)
    if waits is not None:
        return waits
    price = now.low_price_usd or now.price_usd
    due = money(bill * rule.days)
    basis = "the 5 % price" if now.low_price_usd else "the present price (no forecast band)"
    reason = f"{rule.days} days of power cost {due} USD; sized at {basis}, {price} USD."
    # Rounded up: a satoshi too few and the last bill is not covered.
    return _Wish(bitcoin(due / price, ROUND_UP), reason, sizing_price_usd=price)


def _dca(rule: Rule, now: Situation) -> _Wish:
    sell = bitcoin(rule.amount_usd / now.price_usd, ROUND_DOWN)
    return _Wish(sell, f"{rule.amount_usd} USD every {rule.every_days} days.")


def _threshold(rule: Rule, now: Situation) -> _Wish:
    if rule.price_usd is not None and now.price_usd < rule.price_usd:
        return _nothing(f"The price {now.price_usd} is under the threshold {rule.price_usd} USD.")
    waits = _under_cost_multiple(rule, now)
    if waits is not None:
        return waits
    reason = f"The price {now.price_usd} USD is over the threshold: {rule.share_percent} %."
    return _Wish(_share(now.held_btc, rule.share_percent), reason)


def _layered(rule: Rule, now: Situation) -> _Wish:
    if now.average_cost_usd is None or now.average_cost_usd <= 0:
        return _nothing("What the holding had cost is not known.", "average_cost_usd")
    start = rule.cost_multiple or Decimal(1)
    above = now.price_usd / now.average_cost_usd - start
    share = min(rule.share_percent, rule.slope * above * HUNDRED)
    if share <= 0:
        return _nothing(f"The price is not over {start} times the average cost.")
    reason = f"The price is {money(above + start)} times the average cost: {money(share)} %."
    return _Wish(_share(now.held_btc, share), reason)


def _ladder(rule: Rule, now: Situation) -> _Wish:
    reached = tuple(
        place
        for place, step in enumerate(rule.steps)
        if place not in now.steps_done and now.price_usd >= step.price_usd
    )
    if not reached:
        return _nothing("No step of the ladder that is left has been reached.")
    share = sum((rule.steps[place].share_percent for place in reached), ZERO)
    share = min(share, HUNDRED)
    names = ", ".join(str(rule.steps[place].price_usd) for place in reached)
    return _Wish(_share(now.held_btc, share), f"Steps {names} USD: {share} %.", steps=reached)


def _under_cost_multiple(rule: Rule, now: Situation) -> _Wish | None:
    if rule.cost_multiple is None:
        return None
    if now.average_cost_usd is None:
        return _nothing("What the holding had cost is not known.", "average_cost_usd")
    least = worth(rule.cost_multiple, now.average_cost_usd)
    if now.price_usd >= least:
        return None
    return _nothing(
        f"The price {now.price_usd} is under {rule.cost_multiple} times cost, {least} USD."
    )


def _share(held_btc: Decimal, percent: Decimal) -> Decimal:
    return bitcoin(held_btc * percent / HUNDRED, ROUND_DOWN)


_KINDS: Mapping[RuleKind, Callable[[Rule, Situation], _Wish]] = {
    RuleKind.HOLD: _hold,
    RuleKind.COVER_OPEX: _cover_opex,
    RuleKind.DCA: _dca,
    RuleKind.THRESHOLD: _threshold,
    RuleKind.LAYERED: _layered,
    RuleKind.LADDER: _ladder,
}

DEFAULT_RULES: tuple[Rule, ...] = (
    Rule(kind=RuleKind.HOLD),
    Rule(kind=RuleKind.COVER_OPEX, days=30, every_days=30),
    Rule(kind=RuleKind.DCA, every_days=7, amount_usd=Decimal(1000)),
    Rule(
        kind=RuleKind.THRESHOLD,
        every_days=14,
        cost_multiple=Decimal("1.15"),
        share_percent=Decimal(5),
    ),
    Rule(
        kind=RuleKind.LAYERED,
        every_days=1,
        cost_multiple=Decimal("1.1"),
        share_percent=Decimal(10),
    ),
)
"""What a back-test compares when it is told no rules; a ladder's prices depend on the series."""
