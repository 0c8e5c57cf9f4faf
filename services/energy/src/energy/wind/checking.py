"""Whether what is stored of some days agrees with itself: rows, bitcoin, and every summary.

Everything is computed anew from the rows of the days, and compared with what the summaries say.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import TextClause, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from energy.domain.settlement import days_between, periods_in
from energy.wind.models import SettlementDay

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
_FARMS = text(
    "SELECT summary_date, sum(records), sum(records_any), sum(total_curtailed_energy), "
    "sum(total_payment), sum(total_curtailed_energy_any), sum(total_payment_any) "
    "FROM energy.farm_daily_summaries WHERE summary_date BETWEEN :first AND :last GROUP BY 1"
)
_CALCULATIONS = text(
    "SELECT settlement_date, miner_model, count(*), sum(bitcoin_mined) "
    "FROM energy.historical_bitcoin_calculations "
    "WHERE settlement_date BETWEEN :first AND :last GROUP BY 1, 2"
)
_RECALCULATED = text(
    "SELECT e.settlement_date, r.miner_model, count(*) FILTER (WHERE e.flagged > 0), "
    "sum(round(e.mwh * r.btc_per_mwh, 18)), sum(round(e.mwh_any * r.btc_per_mwh, 18)) FROM ("
    "SELECT settlement_date, settlement_period, farm_id, count(*) FILTER (WHERE so_flag) AS "
    "flagged, coalesce(-sum(volume) FILTER (WHERE so_flag), 0) AS mwh, -sum(volume) AS mwh_any "
    "FROM energy.curtailment_records WHERE settlement_date BETWEEN :first AND :last "
    "GROUP BY 1, 2, 3) e JOIN energy.bitcoin_rates r USING (settlement_date, settlement_period) "
    "GROUP BY 1, 2"
)
_BITCOIN_DAILY = text(
    "SELECT summary_date, miner_model, calculations, bitcoin_mined, bitcoin_mined_any "
    "FROM energy.bitcoin_daily_summaries WHERE summary_date BETWEEN :first AND :last"
)
_WRONG_RATES = text(
    "SELECT r.settlement_date, count(*) FROM energy.bitcoin_rates r "
    "LEFT JOIN energy.network_epoch e ON e.height = r.epoch_height "
    "WHERE r.settlement_date BETWEEN :first AND :last AND (e.height IS NULL "
    "OR e.difficulty <> r.difficulty OR e.subsidy_btc <> r.subsidy_btc) GROUP BY 1"
)
_WRONG_MONTHS = text(
    "SELECT m.year_month FROM energy.monthly_summaries m JOIN ("
    "SELECT to_char(summary_date, 'YYYY-MM') AS year_month, sum(total_curtailed_energy) AS e, "
    "sum(total_payment) AS p, sum(total_curtailed_energy_any) AS ea, count(*) AS n "
    "FROM energy.daily_summaries WHERE summary_date >= :start AND summary_date < :stop GROUP BY 1"
    ") d USING (year_month) WHERE (m.total_curtailed_energy, m.total_payment, "
    "m.total_curtailed_energy_any, m.days) IS DISTINCT FROM (d.e, d.p, d.ea, d.n) "
    "UNION SELECT d.year_month || ' ' || d.miner_model FROM ("
    "SELECT to_char(summary_date, 'YYYY-MM') AS year_month, miner_model, sum(bitcoin_mined) AS b, "
    "count(*) AS n FROM energy.bitcoin_daily_summaries "
    "WHERE summary_date >= :start AND summary_date < :stop GROUP BY 1, 2) d "
    "LEFT JOIN energy.bitcoin_monthly_summaries m USING (year_month, miner_model) "
    "WHERE (m.bitcoin_mined, m.days) IS DISTINCT FROM (d.b, d.n)"
)
_WRONG_YEARS = text(
    "SELECT CAST(d.year AS text) FROM (SELECT CAST(left(year_month, 4) AS smallint) AS year, "
    "sum(total_curtailed_energy) AS e, sum(total_payment) AS p, sum(days) AS n "
    "FROM energy.monthly_summaries WHERE year_month >= :first_month AND year_month <= :last_month "
    "GROUP BY 1) d LEFT JOIN energy.yearly_summaries y USING (year) "
    "WHERE (y.total_curtailed_energy, y.total_payment, y.days) IS DISTINCT FROM (d.e, d.p, d.n) "
    "UNION SELECT d.year || ' ' || d.miner_model FROM ("
    "SELECT CAST(left(year_month, 4) AS smallint) AS year, miner_model, sum(bitcoin_mined) AS b "
    "FROM energy.bitcoin_monthly_summaries "
    "WHERE year_month >= :first_month AND year_month <= :last_month GROUP BY 1, 2) d "
    "LEFT JOIN energy.bitcoin_yearly_summaries y USING (year, miner_model) "
    "WHERE y.bitcoin_mined IS DISTINCT FROM d.b"
)


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
    """Return the months and years, energy or bitcoin, that are not the sum of their parts."""
    start = first.replace(day=1)
    stop = (last.replace(day=1) + timedelta(days=32)).replace(day=1)
    months = await session.scalars(_WRONG_MONTHS, {"start": start, "stop": stop})
    span = {"first_month": f"{first:%Y}-01", "last_month": f"{last:%Y}-12"}
    years = await session.scalars(_WRONG_YEARS, span)
    return [*months, *years]


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
        self.farms = await self._by(_FARMS, 1)
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
    if list(facts.farms.get((check.day,), nothing[:6])) != sums:
        check.defects.append("the farms' summaries are not the sum of the rows")


def _check_model(check: DayCheck, name: str, facts: _Facts) -> None:
    key = (check.day, name)
    rows, mined = facts.calculations.get(key, (0, Decimal()))
    wanted_rows, wanted, wanted_any = facts.recalculated.get(key, (0, Decimal(), Decimal()))
    check.models[name] = {"rows": rows, "bitcoin_mined": _plain(mined)}
    farms = facts.records.get((check.day,), (0,) * 7)[6]
    if check.bitcoin_status == "complete" and rows != farms:
        check.defects.append(f"{name}: {rows} calculations for {farms} farms and periods")
    if (rows, mined) != (wanted_rows, wanted):
        check.defects.append(f"{name}: the calculations are not what the rows give")
    daily = facts.bitcoin.get(key, (0, Decimal(), Decimal()))
    if daily != (wanted_rows, wanted, wanted_any):
        check.defects.append(f"{name}: the day's bitcoin is not the sum of its calculations")


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"
