"""Signals of mining, from the stored daily closes and the calculator's epochs."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from intelligence.domain.mining import (
    YEAR_DAYS,
    Days,
    Epochs,
    Reading,
    hash_ribbons,
    hashprice_percentile,
    puell,
    unbroken,
)
from intelligence.market import candles, quotes
from intelligence.signals.schemas import NetworkSignal, NetworkSignals

_EPOCHS = 40
"""A year has 26."""


@dataclass(frozen=True, slots=True)
class History:
    """What the signals of mining are computed from."""

    days: Days
    epochs: Epochs
    simulated: bool


async def history(session: AsyncSession) -> History:
    """Read closes and epochs of a year."""
    series = await candles.daily_closes(session, YEAR_DAYS)
    rows = await quotes.epochs(session, last=_EPOCHS)
    epochs = Epochs(
        height=np.array([row.height for row in rows], dtype=np.float64),
        started_s=np.array([row.started_at.timestamp() for row in rows], dtype=np.float64),
        difficulty=np.array([row.difficulty for row in rows], dtype=np.float64),
    )
    return History(Days(series.time, series.close), unbroken(epochs), series.simulated)


def network_signals(past: History, now: datetime) -> NetworkSignals:
    """Compute the signals of mining."""
    return NetworkSignals(
        puell_multiple=_answer(puell(past.days, past.epochs)),
        hash_ribbons=_answer(hash_ribbons(past.days, past.epochs, now.timestamp())),
        hashprice_percentile=_answer(hashprice_percentile(past.days, past.epochs)),
    )


def _answer(reading: Reading) -> NetworkSignal:
    return NetworkSignal(value=reading.value, signal=reading.signal, reason=reading.reason)
