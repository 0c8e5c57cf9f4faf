"""Back-tests of rules, on the stored daily history or on a series of the caller's own.

What is asked is made complete at once (prices, holding, bill, break-even), so that a job later
reckons with what was true when it was asked for. A test of one rule over a year takes a few
milliseconds; beyond `_STEPS_AT_ONCE` days times rules a job does it, a rule a step.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from common.audit import audit
from common.auth import Principal
from common.clock import now
from common.errors import Conflict, NotFound
from common.jobs import Jobs, Progress, Step, work
from common.pages import PageRequest, page_of, paged
from common.runtime import Runtime
from intelligence.db import AuditEvent, Job
from intelligence.domain.candles import INDEX, Interval
from intelligence.domain.lots import ZERO, average_cost_usd, held_btc, money
from intelligence.domain.rules import DEFAULT_RULES, LadderStep, Rule, RuleKind
from intelligence.domain.treasury_backtest import (
    LAST_POINTS,
    Assumptions,
    Close,
    Outcome,
    backtest,
)
from intelligence.market.candles import bars
from intelligence.treasury.backtesting_schemas import (
    BacktestAssumptions,
    BacktestReport,
    BacktestRequest,
    BacktestResult,
    BacktestSeries,
    BacktestSummary,
    BacktestView,
)
from intelligence.treasury.holdings import settings_of
from intelligence.treasury.models import StoredBacktest
from intelligence.treasury.outlook import break_even
from intelligence.treasury.receipts import holdings
from intelligence.treasury.ruling import domain_rule, rule_of

_STEPS_AT_ONCE = 10_000
_DAY = timedelta(days=1)
_LEAST_POINTS = 2
jobs = Jobs(Job)


class BacktestNotFound(NotFound):
    title: ClassVar[str] = "No such back-test"


class NoHistory(Conflict):
    title: ClassVar[str] = "No daily history is stored"


async def start(
    session: AsyncSession, caller: Principal, body: BacktestRequest
) -> tuple[BacktestView, bool]:
    """Do a back-test, or leave it to a job (and say so) when it is long.

    Raises:
        NoHistory: none is stored, and no prices were sent.
        RuleNotFound: a rule's id is not known.
    """
    closes, series = await _closes(session, body)
    given, notes = await _assumptions(session, caller, body)
    rules = await _rules(session, body, closes[0].price_usd)
    shown = _shown(given, notes, closes[0].price_usd)
    row = StoredBacktest(
        organisation_id=caller.organisation_id,
        request={
            "series": series.model_dump(mode="json"),
            "assumptions": shown.model_dump(mode="json"),
            "rules": [_plain(rule) for rule in rules],
        },
        created_by=caller.subject,
        created_at=now(),
    )
    session.add(row)
    await session.flush()
    await audit(
        session, AuditEvent, caller, action="treasury.backtest", object_type="treasury-backtest",
        object_id=row.id, detail={"rules": len(rules), "points": len(closes)},
    )  # fmt: skip
    long = len(rules) * len(closes) > _STEPS_AT_ONCE
    if long:
        row.request = row.request | {"closes": _plain_closes(closes)}
        job = await jobs.enqueue(session, caller, "backtest", {"backtest_id": str(row.id)})
        row.job_id = job.id if job else None
    else:
        results = await asyncio.to_thread(_results, rules, closes, given)
        report = BacktestReport(series=series, assumptions=shown, results=results)
        row.result = report.model_dump(mode="json")
    await session.flush()
    return _view(row), long


async def _closes(
    session: AsyncSession, body: BacktestRequest
) -> tuple[list[Close], BacktestSeries]:
    if body.prices is not None:
        closes = [Close(one.at, one.price_usd) for one in body.prices]
        return closes, _series(closes, "given", gaps=0, simulated=False)
    stored = await bars(session, venue=INDEX, interval=Interval.DAY, limit=body.days)
    if len(stored) < _LEAST_POINTS:
        raise NoHistory("Wait for the market's history, import one, or send prices.")
    closes: list[Close] = []
    gaps = 0
    for bar in stored:
        at, price = bar.opened_at + _DAY, money(bar.close)
        while closes and at - closes[-1].at > _DAY:
            gaps += 1
            closes.append(Close(closes[-1].at + _DAY, closes[-1].price_usd))
        closes.append(Close(at, price))
    simulated = any(bar.simulated for bar in stored)
    return closes, _series(closes, "stored", gaps=gaps, simulated=simulated)


def _series(
    closes: Sequence[Close], source: Literal["stored", "given"], *, gaps: int, simulated: bool
) -> BacktestSeries:
    return BacktestSeries(
        source=source,
        first_at=closes[0].at,
        last_at=closes[-1].at,
        points=len(closes),
        simulated=simulated,
        gaps=gaps,
    )


async def _assumptions(
    session: AsyncSession, caller: Principal, body: BacktestRequest
) -> tuple[Assumptions, list[str]]:
    settled = await settings_of(session, caller.organisation_id)
    notes: list[str] = []
    held = await holdings(session)
    btc, cost = body.initial_btc, body.cost_usd_per_btc
    if btc is None:
        btc = held_btc(held) or Decimal(1)
        cost = cost or average_cost_usd(held)
        notes.append("initial_btc: as held now." if held else "initial_btc: 1 BTC, none is held.")
    level = body.break_even_usd
    if level is None:
        known = await break_even(session, settled)
        level = known.usd_per_btc
        notes.append(f"break_even_usd: {known.reason} Held still over the whole series.")
    bill, mined = body.power_bill_usd_per_day, body.btc_mined_per_day
    if settled is not None:
        bill = settled.power_bill_usd_per_day if bill is None else bill
        mined = settled.btc_mined_per_day if mined is None else mined
    if bill is None:
        notes.append("power_bill_usd_per_day: not known; nothing is paid.")
    notes.append("A sale happens at the close after the one that it was decided on.")
    return Assumptions(
        initial_btc=btc,
        initial_cash_usd=body.initial_cash_usd,
        cost_usd_per_btc=cost,
        power_bill_usd_per_day=bill,
        btc_mined_per_day=mined or ZERO,
        break_even_usd=level,
        fee_percent=Decimal(body.fee_percent),
    ), notes


async def _rules(session: AsyncSession, body: BacktestRequest, first_usd: Decimal) -> list[Rule]:
    rules = [one.rule() for one in body.rules]
    rules += [domain_rule(await rule_of(session, rule_id)) for rule_id in body.rule_ids]
    return rules or [*DEFAULT_RULES, _usual_ladder(first_usd)]


def _usual_ladder(first_usd: Decimal) -> Rule:
    steps = tuple(
        LadderStep(money(first_usd * Decimal(multiple)), Decimal(10))
        for multiple in ("1.1", "1.25", "1.5", "2")
    )
    return Rule(kind=RuleKind.LADDER, steps=steps)


def _results(
    rules: Sequence[Rule], closes: Sequence[Close], given: Assumptions
) -> list[BacktestResult]:
    return [_result(rule, backtest(rule, closes, given)) for rule in rules]


def _result(rule: Rule, outcome: Outcome) -> BacktestResult:
    last = outcome.points[-1]
    return BacktestResult.model_validate(
        {
            "rule": _plain(rule),
            "kind": rule.kind,
            "total_return_percent": _rounded(outcome.total_return_percent),
            "max_drawdown_percent": _rounded(outcome.max_drawdown_percent),
            "sharpe": _rounded(outcome.sharpe),
            "win_rate_percent": _rounded(outcome.win_rate_percent),
            "trades": len(outcome.trades),
            "fees_usd": outcome.fees_usd,
            "realised_usd": outcome.realised_usd,
            "end_btc": last.btc,
            "end_cash_usd": last.cash_usd,
            "end_equity_usd": last.equity_usd,
            "unfunded_days": outcome.unfunded_days,
            "missing": outcome.missing,
            "last_trades": [asdict(trade) for trade in outcome.trades[-LAST_POINTS:]],
            "last_points": [asdict(point) for point in outcome.points[-LAST_POINTS:]],
        }
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _shown(given: Assumptions, notes: list[str], first_usd: Decimal) -> BacktestAssumptions:
    return BacktestAssumptions(
        initial_btc=given.initial_btc,
        initial_cash_usd=given.initial_cash_usd,
        cost_usd_per_btc=given.cost_usd_per_btc or first_usd,
        power_bill_usd_per_day=given.power_bill_usd_per_day,
        btc_mined_per_day=given.btc_mined_per_day,
        break_even_usd=given.break_even_usd,
        fee_percent=given.fee_percent,
        notes=notes,
    )


def _plain(rule: Rule) -> dict[str, Any]:
    """Return a rule as JSON, without what it does not have."""
    members = asdict(rule) | {"kind": rule.kind.value}
    members["steps"] = [
        {"price_usd": str(step.price_usd), "share_percent": str(step.share_percent)}
        for step in rule.steps
    ]
    return {
        name: str(value) if isinstance(value, Decimal) else value
        for name, value in members.items()
        if value not in (None, [])
    }


def _rule(members: dict[str, Any]) -> Rule:
    """Return the rule that `_plain` wrote."""
    steps = tuple(
        LadderStep(Decimal(step["price_usd"]), Decimal(step["share_percent"]))
        for step in members.get("steps", [])
    )
    read: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in members.items()
        if name not in ("kind", "steps")
    }
    return Rule(kind=RuleKind(members["kind"]), steps=steps, **read)


def _plain_closes(closes: Sequence[Close]) -> list[list[str]]:
    return [[one.at.isoformat(), str(one.price_usd)] for one in closes]


@jobs.kind("backtest")
async def step_backtest(session: AsyncSession, step: Step) -> Progress:
    """Try one rule of a long back-test."""
    row = await session.get_one(StoredBacktest, UUID(step.arguments["backtest_id"]))
    rules = [_rule(members) for members in row.request["rules"]]
    results: list[Any] = step.cursor.get("results", [])
    closes = [Close(datetime.fromisoformat(at), Decimal(p)) for at, p in row.request["closes"]]
    shown = BacktestAssumptions.model_validate(row.request["assumptions"])
    given = Assumptions(
        **{name: getattr(shown, name) for name in type(shown).model_fields if name != "notes"}
    )
    [result] = await asyncio.to_thread(_results, [rules[len(results)]], closes, given)
    results = [*results, result.model_dump(mode="json")]
    done = len(results) == len(rules)
    if done:
        series = BacktestSeries.model_validate(row.request["series"])
        parts = {"series": series, "assumptions": shown, "results": results}
        row.result = BacktestReport.model_validate(parts).model_dump(mode="json")
        row.request = {name: part for name, part in row.request.items() if name != "closes"}
    return Progress(
        percent=100 * len(results) // len(rules),
        step=f"{len(results)} of {len(rules)} rules",
        cursor={"results": results},
        result={"backtest_id": str(row.id)} if done else None,
    )


async def do_jobs(runtime: Runtime) -> None:
    """Do this service's queued jobs until the process stops."""
    await work(runtime, jobs)


async def one_backtest(session: AsyncSession, backtest_id: UUID) -> BacktestView:
    """Return a back-test.

    Raises:
        BacktestNotFound: there is none with this id.
    """
    row = await session.get(StoredBacktest, backtest_id)
    if row is None:
        raise BacktestNotFound("There is no back-test with this id.", field="backtest_id")
    return _view(row)


async def list_backtests(session: AsyncSession, page: PageRequest) -> dict[str, Any]:
    """Return one page of back-tests, the newest first."""
    query = select(StoredBacktest).order_by(StoredBacktest.id.desc())
    rows, total = await paged(session, query, page)
    items = [
        BacktestSummary(
            id=row.id,
            job_id=row.job_id,
            created_at=row.created_at,
            done=row.result is not None,
            rules=len(row.request["rules"]),
            points=row.request["series"]["points"],
        )
        for row in rows
    ]
    return page_of(items, total, page)


def _view(row: StoredBacktest) -> BacktestView:
    report = None if row.result is None else BacktestReport.model_validate(row.result)
    return BacktestView(id=row.id, job_id=row.job_id, created_at=row.created_at, report=report)
