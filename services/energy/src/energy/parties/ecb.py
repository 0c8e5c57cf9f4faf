"""Daily reference rates against the euro, of the European Central Bank's data interface (CSV).

One figure per working day, set at 14:15 Frankfurt time; none on weekends and bank holidays.
"""

import csv
import io
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation

from common.party import Answer, NoAnswer, Party

SOURCE = "ecb"
BASE = "EUR"
_PATH = "/service/data/EXR/D..EUR.SP00.A"
_WANTED = {"CURRENCY", "CURRENCY_DENOM", "TIME_PERIOD", "OBS_VALUE"}
_CODE = re.compile(r"[A-Z]{3}")
_LEAST, _MOST = Decimal("1e-6"), Decimal("1e7")


@dataclass(frozen=True, slots=True)
class DayRate:
    """What a euro was worth in a currency on a day."""

    day: date
    currency: str
    per_eur: Decimal


async def reference_rates(party: Party, first: date, last: date) -> tuple[list[DayRate], bool]:
    """Return the rates of a span of days (both inclusive), and whether they are simulated.

    Raises:
        NoAnswer: the party gave nothing that can be used.
    """
    answer = await party.get(
        _PATH, startPeriod=first.isoformat(), endPeriod=last.isoformat(), format="csvdata"
    )
    return _checked(answer, first, last), answer.simulated


def _checked(answer: Answer, first: date, last: date) -> list[DayRate]:
    found: dict[tuple[date, str], DayRate] = {}
    try:
        reader = csv.DictReader(io.StringIO(answer.text(), newline=""), strict=True)
        if not set(reader.fieldnames or ()) >= _WANTED:
            raise NoAnswer(f"{answer.party}: the answer is no table of rates")
        for row in reader:
            one = _row(answer, row)
            if one is None:
                continue
            if not first <= one.day <= last:
                raise NoAnswer(f"{answer.party}: a row of {one.day}, which nobody asked for")
            if found.setdefault((one.day, one.currency), one) != one:
                raise NoAnswer(f"{answer.party}: two rates of {one.currency} on {one.day}")
    except csv.Error as error:
        raise NoAnswer(f"{answer.party}: the answer is no CSV: {error}") from error
    return [found[key] for key in sorted(found)]


def _row(answer: Answer, row: dict[str, str | None]) -> DayRate | None:
    """Return a row as a rate; None where it says that there was none that day."""
    currency, told = row["CURRENCY"] or "", (row["OBS_VALUE"] or "").strip()
    is_cut = None in row.values()
    if is_cut or row["CURRENCY_DENOM"] != BASE or not _CODE.fullmatch(currency):
        raise NoAnswer(f"{answer.party}: a row that is cut, or no rate against the euro")
    if told in ("", "NaN"):
        return None
    try:
        day, per_eur = date.fromisoformat(row["TIME_PERIOD"] or ""), Decimal(told)
    except (ValueError, InvalidOperation) as error:
        raise NoAnswer(f"{answer.party}: a row that is no rate: {told[:40]}") from error
    if not per_eur.is_finite() or not _LEAST <= per_eur <= _MOST:
        raise NoAnswer(f"{answer.party}: {currency} at {told[:40]} cannot be")
    return DayRate(day, currency, per_eur)
