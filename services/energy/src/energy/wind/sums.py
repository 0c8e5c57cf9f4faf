"""From the rows of a day to bitcoin by period and farm, and to every summary, in sets.

One change of one half-hour changes day, month and year of energy and bitcoin here and at once, and
no other day. What is right already is not written again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from energy.wind.miners import RATE_COLUMNS
from energy.wind.sql import copy, replacing, run, writing

_ENERGY = (
    "total_curtailed_energy", "total_payment", "total_curtailed_energy_any", "total_payment_any",
    "records", "records_any",
)  # fmt: skip
_GENERATION = ("total_wind_generation", "wind_onshore_generation", "wind_offshore_generation")
_MINED = ("bitcoin_mined", "bitcoin_mined_any")
_ONE_YEAR_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7201502, :year)")

_STAGE_ENERGY = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_energy (settlement_period smallint, farm_id text, "
    "lead_party_name text, total_curtailed_energy numeric, total_payment numeric, "
    "total_curtailed_energy_any numeric, total_payment_any numeric, records integer, "
    "records_any integer) ON COMMIT DELETE ROWS"
)
_SUM_ENERGY = text(
    "INSERT INTO pg_temp.staged_energy "
    "SELECT settlement_period, farm_id, min(lead_party_name), "
    "coalesce(-sum(volume) FILTER (WHERE so_flag), 0), "
    "coalesce(sum(payment) FILTER (WHERE so_flag), 0), "
    "-sum(volume), sum(payment), count(*) FILTER (WHERE so_flag), count(*) "
    "FROM energy.curtailment_records WHERE settlement_date = :day GROUP BY 1, 2"
)
_STAGE_RATES = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_rate (settlement_date date, "
    "settlement_period smallint, miner_model text, btc_per_mwh numeric, difficulty numeric, "
    "subsidy_btc numeric, epoch_height integer, model_id uuid, hashrate_ths numeric, "
    "power_w numeric, simulated boolean) ON COMMIT DELETE ROWS"
)
_RATES = writing(
    "bitcoin_rates",
    keys=("settlement_date", "settlement_period", "miner_model"),
    values=RATE_COLUMNS[2:],
    query="SELECT settlement_date, settlement_period, miner_model, round(btc_per_mwh, 30), "
    "round(difficulty, 12), subsidy_btc, epoch_height, model_id, hashrate_ths, power_w, simulated "
    "FROM pg_temp.staged_rate",
    stamp="calculated_at",
)
_STAGE_MINED = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_mined (settlement_date date, "
    "settlement_period smallint, farm_id text, miner_model text, bitcoin_mined numeric, "
    "bitcoin_mined_any numeric, difficulty numeric, counts boolean) ON COMMIT DELETE ROWS"
)
_MINE = text(
    "INSERT INTO pg_temp.staged_mined "
    "SELECT r.settlement_date, e.settlement_period, e.farm_id, r.miner_model, "
    "round(e.total_curtailed_energy * r.btc_per_mwh, 18), "
    "round(e.total_curtailed_energy_any * r.btc_per_mwh, 18), r.difficulty, e.records > 0 "
    "FROM pg_temp.staged_energy e JOIN energy.bitcoin_rates r "
    "ON r.settlement_date = :day AND r.settlement_period = e.settlement_period"
)
_STAGE_CALCULATIONS = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_calculation (LIKE pg_temp.staged_mined) "
    "ON COMMIT DELETE ROWS"
)
_CHOOSE_CALCULATIONS = text(
    "INSERT INTO pg_temp.staged_calculation SELECT * FROM pg_temp.staged_mined WHERE counts"
)
_CALCULATIONS = replacing(
    "historical_bitcoin_calculations",
    keys=("settlement_date", "settlement_period", "farm_id", "miner_model"),
    values=("bitcoin_mined", "difficulty"),
    stage="staged_calculation",
    scope="x.settlement_date = :day",
)
_STAGE_FARMS = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_farm (summary_date date, farm_id text, "
    "lead_party_name text, total_curtailed_energy numeric, total_payment numeric, "
    "total_curtailed_energy_any numeric, total_payment_any numeric, records integer, "
    "records_any integer, periods smallint) ON COMMIT DELETE ROWS"
)
_SUM_FARMS = text(
    "INSERT INTO pg_temp.staged_farm "
    "SELECT CAST(:day AS date), farm_id, min(lead_party_name), sum(total_curtailed_energy), "
    "sum(total_payment), sum(total_curtailed_energy_any), sum(total_payment_any), sum(records), "
    "sum(records_any), count(*) FILTER (WHERE records > 0) FROM pg_temp.staged_energy GROUP BY 2"
)
_FARMS = replacing(
    "farm_daily_summaries",
    keys=("summary_date", "farm_id"),
    values=("lead_party_name", *_ENERGY, "periods"),
    stage="staged_farm",
    scope="x.summary_date = :day",
)
_STAGE_FARMS_MINED = text(
    "CREATE TEMP TABLE IF NOT EXISTS staged_farm_mined (summary_date date, farm_id text, "
    "miner_model text, bitcoin_mined numeric, bitcoin_mined_any numeric) ON COMMIT DELETE ROWS"
)
_SUM_FARMS_MINED = text(
    "INSERT INTO pg_temp.staged_farm_mined "
    "SELECT settlement_date, farm_id, miner_model, sum(bitcoin_mined), sum(bitcoin_mined_any) "
    "FROM pg_temp.staged_mined GROUP BY 1, 2, 3"
)
_FARMS_MINED = replacing(
    "bitcoin_farm_daily_summaries",
    keys=("summary_date", "farm_id", "miner_model"),
    values=("bitcoin_mined", "bitcoin_mined_any"),
    stage="staged_farm_mined",
    scope="x.summary_date = :day",
)
_DAILY = writing(
    "daily_summaries",
    keys=("summary_date",),
    values=(*_ENERGY, *_GENERATION, "periods_complete", "complete", "simulated"),
    query="SELECT CAST(:day AS date), coalesce(sum(total_curtailed_energy), 0), "
    "coalesce(sum(total_payment), 0), coalesce(sum(total_curtailed_energy_any), 0), "
    "coalesce(sum(total_payment_any), 0), coalesce(sum(records), 0), "
    "coalesce(sum(records_any), 0), g.total, g.onshore, g.offshore, CAST(:periods AS smallint), "
    "CAST(:complete AS boolean), CAST(:simulated AS boolean) "
    "FROM (SELECT CASE WHEN count(*) >= CAST(:periods AS integer) THEN sum(total_wind) / 2 END "
    "AS total, CASE WHEN count(wind_onshore) >= CAST(:periods AS integer) "
    "THEN sum(wind_onshore) / 2 END AS onshore, "
    "CASE WHEN count(wind_offshore) >= CAST(:periods AS integer) "
    "THEN sum(wind_offshore) / 2 END AS offshore "
    "FROM energy.wind_generation_data WHERE settlement_date = :day) g "
    "LEFT JOIN pg_temp.staged_energy e ON true GROUP BY g.total, g.onshore, g.offshore",
    stamp="last_updated",
)


def _sums(names: Sequence[str]) -> str:
    return ", ".join(f"sum({name})" for name in names)


def _known_sums(names: Sequence[str]) -> str:
    """Return sums that are null where one of the parts is not known."""
    return ", ".join(f"CASE WHEN count({name}) = count(*) THEN sum({name}) END" for name in names)


_BITCOIN_DAILY = writing(
    "bitcoin_daily_summaries",
    keys=("summary_date", "miner_model"),
    values=(*_MINED, "average_difficulty", "calculations", "periods"),
    query="SELECT CAST(:day AS date), r.miner_model, coalesce(min(m.mined), 0), "
    "coalesce(min(m.mined_any), 0), round(avg(r.difficulty), 12), coalesce(min(m.counted), 0), "
    "count(*) FROM energy.bitcoin_rates r LEFT JOIN (SELECT miner_model, sum(bitcoin_mined) AS "
    "mined, sum(bitcoin_mined_any) AS mined_any, count(*) FILTER (WHERE counts) AS counted "
    "FROM pg_temp.staged_mined GROUP BY 1) m USING (miner_model) "
    "WHERE r.settlement_date = :day AND r.settlement_period = ANY(:numbers) GROUP BY 2",
    stamp="last_updated",
)
_IN_MONTHS = "summary_date >= :first AND summary_date < :next"
_OF_MONTHS = "year_month BETWEEN :first_month AND :last_month"
_IN_YEARS = "CAST(left(year_month, 4) AS smallint) BETWEEN :first_year AND :last_year"
_OF_YEARS = "year BETWEEN :first_year AND :last_year"


@dataclass(frozen=True, slots=True)
class RollUp:
    """A summary of months or years: of what, by what, and how it is made of its parts."""

    table: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    parts: str
    """The query of what the summary should say of some time."""
    scope: str
    """Which of its rows belong to that time."""

    @property
    def columns(self) -> str:
        """Return the names of keys and values, as the query gives them."""
        return ", ".join([*self.keys, *self.values])

    def writing(self) -> TextClause:
        """Return the statement that brings the summary to what its parts say."""
        return writing(
            self.table, keys=self.keys, values=self.values, query=self.parts, stamp="last_updated"
        )

    def differing(self) -> TextClause:
        """Return the query of the keys under which summary and parts say different things."""
        names = ", ".join(self.keys)
        stored, wanted = (", ".join(f"{one}.{name}" for name in self.values) for one in "sw")
        return text(
            f"SELECT {names} FROM "  # noqa: S608  (own names)
            f"(SELECT {self.columns} FROM energy.{self.table} WHERE {self.scope}) s "
            f"FULL JOIN ({self.parts}) w ({self.columns}) USING ({names}) "
            f"WHERE ({stored}) IS DISTINCT FROM ({wanted}) ORDER BY {names}"
        )


_MONTHLY = RollUp(
    table="monthly_summaries",
    keys=("year_month",),
    values=(*_ENERGY, *_GENERATION, "days", "days_complete", "simulated"),
    parts=f"SELECT to_char(summary_date, 'YYYY-MM'), {_sums(_ENERGY)}, "  # noqa: S608  (own names)
    f"{_known_sums(_GENERATION)}, count(*), count(*) FILTER (WHERE complete), bool_or(simulated) "
    f"FROM energy.daily_summaries WHERE {_IN_MONTHS} GROUP BY 1",
    scope=_OF_MONTHS,
)
_YEARLY = RollUp(
    table="yearly_summaries",
    keys=("year",),
    values=(*_ENERGY, *_GENERATION, "days", "days_complete", "simulated"),
    parts=f"SELECT CAST(left(year_month, 4) AS smallint), {_sums(_ENERGY)}, "  # noqa: S608  (own names)
    f"{_known_sums(_GENERATION)}, sum(days), sum(days_complete), bool_or(simulated) "
    f"FROM energy.monthly_summaries WHERE {_IN_YEARS} GROUP BY 1",
    scope=_OF_YEARS,
)
_BITCOIN_MONTHLY = RollUp(
    table="bitcoin_monthly_summaries",
    keys=("year_month", "miner_model"),
    values=(*_MINED, "average_difficulty", "days"),
    parts=f"SELECT to_char(summary_date, 'YYYY-MM'), miner_model, {_sums(_MINED)}, "  # noqa: S608  (own names)
    "round(avg(average_difficulty), 12), count(*) FROM energy.bitcoin_daily_summaries "
    f"WHERE {_IN_MONTHS} GROUP BY 1, 2",
    scope=_OF_MONTHS,
)
_BITCOIN_YEARLY = RollUp(
    table="bitcoin_yearly_summaries",
    keys=("year", "miner_model"),
    values=(*_MINED, "average_difficulty", "days"),
    parts=f"SELECT CAST(left(year_month, 4) AS smallint), miner_model, {_sums(_MINED)}, "  # noqa: S608  (own names)
    "round(sum(average_difficulty * days) / sum(days), 12), sum(days) "
    f"FROM energy.bitcoin_monthly_summaries WHERE {_IN_YEARS} GROUP BY 1, 2",
    scope=_OF_YEARS,
)
ROLL_UPS = (_MONTHLY, _YEARLY, _BITCOIN_MONTHLY, _BITCOIN_YEARLY)
"""The summaries of months and years; a year's comes after its months'."""
_ROLLING_UP = tuple(one.writing() for one in ROLL_UPS)
_STAGES = (
    _STAGE_ENERGY, _STAGE_RATES, _STAGE_MINED, _STAGE_CALCULATIONS, _STAGE_FARMS,
    _STAGE_FARMS_MINED,
)  # fmt: skip


async def sum_up(
    session: AsyncSession,
    day: date,
    rates: Sequence[tuple[object, ...]],
    *,
    known_periods: Sequence[int],
    periods_complete: int,
    complete: bool,
    simulated: bool,
) -> int:
    """Bring bitcoin and every summary to what the day's rows say; return how many rows changed.

    rates: rows of RATE_COLUMNS; what was calculated with others before keeps them.
    """
    for stage in _STAGES:
        await session.execute(stage)
    staged = [(day, *rate) for rate in rates]
    await copy(session, "staged_rate", ("settlement_date", *RATE_COLUMNS), staged)
    changed = await run(session, _RATES)
    await run(session, _SUM_ENERGY, day=day)
    await run(session, _MINE, day=day)
    await run(session, _CHOOSE_CALCULATIONS)
    await run(session, _SUM_FARMS, day=day)
    await run(session, _SUM_FARMS_MINED)
    for delete, insert in (_CALCULATIONS, _FARMS, _FARMS_MINED):
        changed += await run(session, delete, day=day)
        changed += await run(session, insert)
    # Two days of a year may be summed at once; their month and year are not.
    await session.execute(_ONE_YEAR_AT_A_TIME, {"year": day.year})
    if not known_periods:
        return changed
    changed += await run(
        session,
        _DAILY,
        day=day,
        periods=periods_complete,
        complete=complete,
        simulated=simulated,
    )
    changed += await run(session, _BITCOIN_DAILY, day=day, numbers=list(known_periods))
    return changed + await roll_up(session, day)


async def roll_up(session: AsyncSession, day: date) -> int:
    """Bring month and year to what their days say; return how many rows changed."""
    span = months_and_years(day, day)
    return sum([await run(session, statement, **span) for statement in _ROLLING_UP])


def months_and_years(first: date, last: date) -> dict[str, Any]:
    """Return the parameters by which roll-ups mean the whole months and years of some days."""
    return {
        "first": first.replace(day=1),
        "next": (last.replace(day=1) + timedelta(days=32)).replace(day=1),
        "first_month": f"{first:%Y-%m}",
        "last_month": f"{last:%Y-%m}",
        "first_year": first.year,
        "last_year": last.year,
    }
