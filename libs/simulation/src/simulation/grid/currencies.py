"""Daily reference rates against the euro, as CSV of the ECB's shape: no row on a weekend."""

import csv
import hashlib
import io
import math
from datetime import date, datetime, timedelta

from simulation.grid.faults import GridFault, mangled, spoiled

PER_EUR = {
    "USD": 1.08, "GBP": 0.85, "CAD": 1.48, "NOK": 11.6, "SEK": 11.4, "ISK": 150.2, "JPY": 162.0,
    "KZT": None, "BRL": 5.9, "CHF": 0.95, "AUD": 1.65, "PLN": 4.3, "DKK": 7.46, "CNY": 7.8,
}  # fmt: skip
"""Where the paths begin; None: named in the list of currencies, but no longer published."""
HEADER: list[str] = [
    "KEY",
    "FREQ",
    "CURRENCY",
    "CURRENCY_DENOM",
    "EXR_TYPE",
    "EXR_SUFFIX",
    "TIME_PERIOD",
    "OBS_VALUE",
    "OBS_STATUS",
]
_PUBLISHED_HOUR_UTC = 15
_WEEKEND = 5
_EARLIEST = date(1999, 1, 4)


def per_eur(seed: int, currency: str, day: date) -> float | None:
    """Return what a euro was worth on a day: the path wanders by some percent over the years."""
    start = PER_EUR.get(currency)
    if start is None:
        return None
    phase = int.from_bytes(hashlib.sha256(f"{seed}:{currency}".encode()).digest()[:2]) / 10430
    days = day.toordinal()
    wander = 0.04 * math.sin(days / 180 + phase) + 0.01 * math.sin(days / 11 + 2 * phase)
    return round(start * (1 + wander), 4 if start < 20 else 2)  # noqa: PLR2004  (as it is written)


def sheet(
    seed: int, first: str | None, last: str | None, now: datetime, fault: GridFault | None
) -> str:
    """Return the CSV of a span of days; a day is known from 15:00 UTC.

    Raises:
        ValueError: a day is none.
    """
    today = now.date() if now.hour >= _PUBLISHED_HOUR_UTC else now.date() - timedelta(days=1)
    start = max(date.fromisoformat(first) if first else _EARLIEST, _EARLIEST)
    end = min(date.fromisoformat(last) if last else today, today)
    if fault is GridFault.OTHER_DAY:
        start, end = start + timedelta(days=400), end + timedelta(days=400)
    days = [start + timedelta(days=n) for n in range(max(0, (end - start).days + 1))]
    rows = [
        _row(seed, currency, day, fault)
        for currency in sorted(PER_EUR)
        for day in days
        if day.weekday() < _WEEKEND and PER_EUR[currency] is not None
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row.values() for row in mangled(rows, fault))
    return out.getvalue()


def _row(seed: int, currency: str, day: date, fault: GridFault | None) -> dict[str, object]:
    return {
        "KEY": f"EXR.D.{currency}.EUR.SP00.A",
        "FREQ": "D",
        "CURRENCY": currency,
        "CURRENCY_DENOM": "EUR",
        "EXR_TYPE": "SP00",
        "EXR_SUFFIX": "A",
        "TIME_PERIOD": day.isoformat(),
        "OBS_VALUE": spoiled(per_eur(seed, currency, day), fault),
        "OBS_STATUS": "A",
    }
