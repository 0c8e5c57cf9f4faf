"""Whether what is stored of some days agrees with itself: rows, bitcoin, and every summary.

Everything is computed anew from the rows of the days, and compared with what the summaries say.
"""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.domain.settlement import days_between, periods_in
from energy.wind.models import SettlementDay
from energy.wind.sums import ROLL_UPS, months_and_years

_FARM = (
    "lead_party_name, total_curtailed_energy, total_payment, total_curtailed_energy_any, "
    "total_payment_any, records, records_any, periods"
)


def _of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.split(", "))


_RECORDS = text(
    "SELECT settlement_date, count(*) FILTER (WHERE so_flag), count(*), "
    "coalesce(-sum(volume) FILTER (WHERE so_flag), 0), "
    "coalesce(sum(payment) FILTER (WHERE so_flag), 0), -sum(volume), sum(payment), "
    "count(DISTINCT (settlement_period, farm_id)) FILTER (WHERE so_flag), "
    "count(*) FILTER (WHERE payment <> volume * original_price OR volume >= 0) "
    "FROM energy.curtailment_records WHERE settlement_date BETWEEN :first AND :last GROUP BY 1"
)
_PERIODS = text(
    "SELECT settlement_date, coalesce(sum(records), 0), coalesce(sum(records_any), 0) "
    "FROM energy.settlement_periods WHERE settlement_date BETWEEN :first AND :last GROUP BY 1"
)
_DAILY = text(
    "SELECT summary_date, records, records_any, total_curtailed_energy, total_payment, "
    "total_curtailed_energy_any, total_payment_any, complete "
    "FROM energy.daily_summaries WHERE summary_date BETWEEN :first AND :last"
)
_WRONG_FARMS = text(
    f"SELECT summary_date, count(*) FROM ("  # noqa: S608  (own names)
    "SELECT settlement_date AS summary_date, farm_id, min(lead_party_name), "
    "coalesce(-sum(volume) FILTER (WHERE so_flag), 0), "
    "coalesce(sum(payment) FILTER (WHERE so_flag), 0), -sum(volume), sum(payment), "
    "count(*) FILTER (WHERE so_flag), count(*), "
    "count(DISTINCT settlement_period) FILTER (WHERE so_flag) "
    "FROM energy.curtailment_records WHERE settlement_date BETWEEN :first AND :last GROUP BY 1, 2"
    f") w (summary_date, farm_id, {_FARM}) FULL JOIN ("
    f"SELECT summary_date, farm_id, {_FARM} "
    "FROM energy.farm_daily_summaries WHERE summary_date BETWEEN :first AND :last"
    f") s USING (summary_date, farm_id) WHERE ({_of('w', _FARM)}) IS DISTINCT FROM "
    f"({_of('s', _FARM)}) GROUP BY 1"
)
_CALCULATIONS = text(
    "SELECT settlement_date, miner_model, count(*), sum(bitcoin_mined) "
    "FROM energy.historical_bitcoin_calculations "
    "WHERE settlement_date BETWEEN :first AND :last GROUP BY 1, 2"
)
_RECALCULATED = text(
    "SELECT summary_date, miner_model, coalesce(sum(w.calculations), 0), "
    "coalesce(sum(w.mined), 0), coalesce(sum(w.mined_any), 0), count(*) FILTER (WHERE "
    "(w.mined, w.mined_any) IS DISTINCT FROM (s.bitcoin_mined, s.bitcoin_mined_any)) FROM ("
    "SELECT e.settlement_date AS summary_date, e.farm_id, r.miner_model, "
    "count(*) FILTER (WHERE e.flagged > 0) AS calculations, "
    "sum(round(e.mwh * r.btc_per_mwh, 18)) AS mined, "
    "sum(round(e.mwh_any * r.btc_per_mwh, 18)) AS mined_any FROM ("
    "SELECT settlement_date, settlement_period, farm_id, count(*) FILTER (WHERE so_flag) AS "
    "flagged, coalesce(-sum(volume) FILTER (WHERE so_flag), 0) AS mwh, -sum(volume) AS mwh_any "
    "FROM energy.curtailment_records WHERE settlement_date BETWEEN :first AND :last "
    "GROUP BY 1, 2, 3) e JOIN energy.bitcoin_rates r USING (settlement_date, settlement_period) "
    "GROUP BY 1, 2, 3) w FULL JOIN ("
    "SELECT summary_date, farm_id, miner_model, bitcoin_mined, bitcoin_mined_any "
    "FROM energy.bitcoin_farm_daily_summaries WHERE summary_date BETWEEN :first AND :last"
    ") s USING (summary_date, farm_id, miner_model) GROUP BY 1, 2"
)
"""By farm, beside what is stored of the farm; the last column counts those that differ."""
_BITCOIN_DAILY = text(
    "SELECT summary_date, miner_model, calculations, bitcoin_mined, bitcoin_mined_any "
    "FROM energy.bitcoin_daily_summaries WHERE summary_date BETWEEN :first AND :last"
)
_WRONG_RATES = text(
    "SELECT r.settlement_date, count(*) FROM energy.bitcoin_rates r "
    "LEFT JOIN energy.settlement_periods p USING (settlement_date, settlement_period) "
    "LEFT JOIN LATERAL (SELECT * FROM energy.network_epoch WHERE started_at <= p.starts_at "
    "ORDER BY started_at DESC, height DESC LIMIT 1) e ON true "
    "WHERE r.settlement_date BETWEEN :first AND :last "
    "AND (r.epoch_height, r.difficulty, r.subsidy_btc) "
    "IS DISTINCT FROM (e.height, e.difficulty, e.subsidy_btc) GROUP BY 1"
)
_DIFFERING = tuple(one.differing() for one in ROLL_UPS)


@dataclass(slots=True)
class DayCheck:
    """What is stored of a day, and what of it is wrong."""

    day: date
    complete: bool = False
    missing_periods: list[int] = field(default_factory=list[int])
    records: int = 0
    energy_mwh: Decimal = Decimal()
    payment_gbp: Decimal = Decimal()
    bitcoin_status: str = "not_calculated"
    models: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    defects: list[str] = field(default_factory=list[str])

    def document(self) -> dict[str, Any]:
        """Return the check as a report shows it."""
        return {
            "date": self.day.isoformat(),
            "complete": self.complete,
            "missing_periods": self.missing_periods,
            "records": self.records,
            "curtailed_energy_mwh": _plain(self.energy_mwh),
            "payment_gbp": _plain(self.payment_gbp),
            "bitcoin_status": self.bitcoin_status,
            "models": self.models,
            "defects": self.defects,
        }


async def check_days(session: AsyncSession, first: date, last: date) -> list[DayCheck]:
    """Check some days, and note on those that are right when that was."""
    facts = _Facts(session, {"first": first, "last": last})
    await facts.load()
    days = {day.settlement_date: day for day in await session.scalars(
        select(SettlementDay).where(SettlementDay.settlement_date.between(first, last))
    )}  # fmt: skip
    checks = [_checked(day, days.get(day), facts) for day in days_between(first, last)]
    right = [check.day for check in checks if check.complete and not check.defects]
    await session.execute(
        update(SettlementDay)
        .where(SettlementDay.settlement_date.in_(right))
        .values(verified_at=now())
    )
    return checks


async def wrong_summaries(session: AsyncSession, first: date, last: date) -> list[str]:
    """Return the months and years, energy or bitcoin, that are not the sum of their parts.

    Also those that are missing, and those that nothing stands behind.
    """
    span = months_and_years(first, last)
    found = [await session.execute(query, span) for query in _DIFFERING]
    return [" ".join(map(str, row)) for rows in found for row in rows]


class _Facts:
    """The answers to all questions about some days, by day (and model)."""

    def __init__(self, session: AsyncSession, span: dict[str, Any]) -> None:
        self._session = session
        self._span = span

    async def load(self) -> None:
        """Ask."""
        self.records = await self._by(_RECORDS, 1)
        self.periods = await self._by(_PERIODS, 1)
        self.daily = await self._by(_DAILY, 1)
        self.wrong_farms = await self._by(_WRONG_FARMS, 1)
        self.calculations = await self._by(_CALCULATIONS, 2)
        self.recalculated = await self._by(_RECALCULATED, 2)
        self.bitcoin = await self._by(_BITCOIN_DAILY, 2)
        self.wrong_rates = await self._by(_WRONG_RATES, 1)

    async def _by(self, query: TextClause, keys: int) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        rows = await self._session.execute(query, self._span)
        return {tuple(row[:keys]): tuple(row[keys:]) for row in rows}


def _checked(day: date, stored: SettlementDay | None, facts: _Facts) -> DayCheck:
    check = DayCheck(day)
    if stored is None:
        check.missing_periods = list(range(1, periods_in(day) + 1))
        return check
    check.missing_periods = list(stored.missing_periods)
    check.complete = stored.status == "complete"
    check.bitcoin_status = stored.bitcoin_status
    _check_energy(check, facts)
    for name in stored.miner_models:
        _check_model(check, name, facts)
    if (day,) in facts.wrong_rates:
        check.defects.append("difficulty or subsidy is not that of its epoch")
    return check


def _check_energy(check: DayCheck, facts: _Facts) -> None:
    nothing = (0, 0, Decimal(), Decimal(), Decimal(), Decimal(), 0, 0)
    *sums, _, wrong = facts.records.get((check.day,), nothing)
    check.records, check.energy_mwh, check.payment_gbp = sums[0], sums[2], sums[3]
    if wrong:
        check.defects.append(f"{wrong} rows have a wrong sign or payment")
    if tuple(sums[:2]) != facts.periods.get((check.day,), (0, 0)):
        check.defects.append("the periods count other rows than there are")
    daily = facts.daily.get((check.day,))
    if daily is None:
        if check.complete:
            check.defects.append("there is no summary of the day")
    elif list(daily[:6]) != sums:
        check.defects.append("the day's summary is not the sum of its rows")
    elif daily[6] != check.complete:
        check.defects.append("the day's summary is not as complete as it says")
    if (check.day,) in facts.wrong_farms:
        check.defects.append("the farms' summaries are not the sum of the rows")


def _check_model(check: DayCheck, name: str, facts: _Facts) -> None:
    key = (check.day, name)
    rows, mined = facts.calculations.get(key, (0, Decimal()))
    nothing = (0, Decimal(), Decimal(), 0)
    wanted_rows, wanted, wanted_any, wrong_farms = facts.recalculated.get(key, nothing)
    check.models[name] = {"rows": rows, "bitcoin_mined": _plain(mined)}
    farms = facts.records.get((check.day,), (0,) * 7)[6]
    if check.bitcoin_status == "complete" and rows != farms:
        check.defects.append(f"{name}: {rows} calculations for {farms} farms and periods")
    if (rows, mined) != (wanted_rows, wanted):
        check.defects.append(f"{name}: the calculations are not what the rows give")
    daily = facts.bitcoin.get(key, (0, Decimal(), Decimal()))
    if daily != (wanted_rows, wanted, wanted_any):
        check.defects.append(f"{name}: the day's bitcoin is not the sum of its calculations")
    if wrong_farms:
        check.defects.append(f"{name}: the farms' bitcoin is not the sum of their calculations")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
