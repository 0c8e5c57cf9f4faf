"""Bitcoin by period and farm, and the summaries of energy and bitcoin by day, month and year.

Each figure exists twice: of the rows with the SO flag, and, ending in `_any`, of all accepted bids.
Energy is in MWh and positive, payments in GBP and positive to the farms, bitcoin in BTC.
"""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import Index, Numeric, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from energy.db import Base
from energy.domain.wind import BTC_PLACES, RATE_PLACES
from energy.wind.models import Fact

_BTC = Numeric(38, BTC_PLACES)
_DIFFICULTY = Numeric(40, 12)


class BitcoinRate(Fact, Base):
    """What a miner model made of one MWh in a period, and of what that was computed."""

    __tablename__ = "bitcoin_rates"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    btc_per_mwh: Mapped[Decimal] = mapped_column(Numeric(48, RATE_PLACES))
    difficulty: Mapped[Decimal] = mapped_column(_DIFFICULTY)
    subsidy_btc: Mapped[Decimal] = mapped_column(Numeric(16, 8))
    epoch_height: Mapped[int]
    model_id: Mapped[UUID]
    hashrate_ths: Mapped[Decimal]
    power_w: Mapped[Decimal]
    calculated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    simulated: Mapped[bool]
    """The epoch comes from a simulated chain."""


class HistoricalBitcoinCalculation(Fact, Base):
    """What a miner model would have mined with a farm's curtailed energy of a period."""

    __tablename__ = "historical_bitcoin_calculations"

    settlement_date: Mapped[date] = mapped_column(primary_key=True)
    settlement_period: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    farm_id: Mapped[str] = mapped_column(primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    bitcoin_mined: Mapped[Decimal] = mapped_column(_BTC)
    difficulty: Mapped[Decimal] = mapped_column(_DIFFICULTY)
    calculated_at: Mapped[datetime] = mapped_column(server_default=text("now()"))


class _Energy(Fact):
    total_curtailed_energy: Mapped[Decimal]
    total_payment: Mapped[Decimal]
    total_curtailed_energy_any: Mapped[Decimal]
    total_payment_any: Mapped[Decimal]
    records: Mapped[int]
    records_any: Mapped[int]


class _Generation(_Energy):
    total_wind_generation: Mapped[Decimal | None]
    """MWh; null where it is not known of every period that is in."""
    wind_onshore_generation: Mapped[Decimal | None]
    wind_offshore_generation: Mapped[Decimal | None]
    last_updated: Mapped[datetime] = mapped_column(server_default=text("now()"))
    simulated: Mapped[bool]


class DailySummary(_Generation, Base):
    """Energy and payments of a day."""

    __tablename__ = "daily_summaries"

    summary_date: Mapped[date] = mapped_column(primary_key=True)
    periods_complete: Mapped[int] = mapped_column(SmallInteger)
    complete: Mapped[bool]


class MonthlySummary(_Generation, Base):
    """Energy and payments of a month, the sum of its days."""

    __tablename__ = "monthly_summaries"

    year_month: Mapped[str] = mapped_column(primary_key=True)
    """yyyy-mm."""
    days: Mapped[int]
    days_complete: Mapped[int]


class YearlySummary(_Generation, Base):
    """Energy and payments of a year, the sum of its months."""

    __tablename__ = "yearly_summaries"

    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    days: Mapped[int]
    days_complete: Mapped[int]


class _Bitcoin(Fact):
    bitcoin_mined: Mapped[Decimal] = mapped_column(_BTC)
    bitcoin_mined_any: Mapped[Decimal] = mapped_column(_BTC)


class _Mined(_Bitcoin):
    average_difficulty: Mapped[Decimal] = mapped_column(_DIFFICULTY)
    """The mean over the periods, or days, that were calculated."""
    last_updated: Mapped[datetime] = mapped_column(server_default=text("now()"))


class BitcoinDailySummary(_Mined, Base):
    """Bitcoin of a day by miner model."""

    __tablename__ = "bitcoin_daily_summaries"

    summary_date: Mapped[date] = mapped_column(primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    calculations: Mapped[int]
    """Farms times periods."""
    periods: Mapped[int] = mapped_column(SmallInteger)
    """How many of the day's periods are calculated."""


class BitcoinMonthlySummary(_Mined, Base):
    """Bitcoin of a month by miner model, the sum of its days."""

    __tablename__ = "bitcoin_monthly_summaries"

    year_month: Mapped[str] = mapped_column(primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int]


class BitcoinYearlySummary(_Mined, Base):
    """Bitcoin of a year by miner model, the sum of its months."""

    __tablename__ = "bitcoin_yearly_summaries"

    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
    days: Mapped[int]


class FarmDailySummary(_Energy, Base):
    """Energy and payments of a farm (BM unit) on a day: what longer views are summed from."""

    __tablename__ = "farm_daily_summaries"
    __table_args__ = (Index("ix_farm_daily_summaries_farm_id", "farm_id", "summary_date"),)

    summary_date: Mapped[date] = mapped_column(primary_key=True)
    farm_id: Mapped[str] = mapped_column(primary_key=True)
    lead_party_name: Mapped[str]
    periods: Mapped[int] = mapped_column(SmallInteger)
    """Periods in which the farm was turned down by a row with the SO flag."""


class BitcoinFarmDailySummary(_Bitcoin, Base):
    """Bitcoin of a farm (BM unit) on a day by miner model."""

    __tablename__ = "bitcoin_farm_daily_summaries"
    __table_args__ = (Index("ix_bitcoin_farm_daily_summaries_farm_id", "farm_id", "summary_date"),)

    summary_date: Mapped[date] = mapped_column(primary_key=True)
    farm_id: Mapped[str] = mapped_column(primary_key=True)
    miner_model: Mapped[str] = mapped_column(primary_key=True)
