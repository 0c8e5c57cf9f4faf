"""Converts amounts by the reference rates that are kept. Never at a guess, never at 1."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import ClassVar

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from common.clock import now
from common.errors import Invalid, Unavailable
from energy.currencies.models import ReferenceRate
from energy.parties.ecb import BASE

_LOOK_BACK = timedelta(days=7)
"""Over Easter no rate is published for four days; a week without any is no weekend."""
_FIRST_EVER = date(1999, 1, 4)
"""Of the euro's reference rates."""
_PLACES = Decimal("0.000001")
_DIGITS = 40


class CurrencyUnknown(Invalid):
    title: ClassVar[str] = "There is no reference rate of this currency"


class DayInFuture(Invalid):
    title: ClassVar[str] = "The day is not over yet"


class RateUnavailable(Unavailable):
    title: ClassVar[str] = "The reference rate of the day is not known yet"


@dataclass(frozen=True, slots=True)
class Conversion:
    """How amounts of one currency become amounts of another."""

    source_currency: str
    currency: str
    rate: Decimal
    """Of `currency` for one `source_currency`; exact to 28 digits."""
    day: date | None
    """Of the rate; None where both are the same."""
    source: str
    simulated: bool

    def of(self, amount: Decimal) -> Decimal:
        """Return an amount in the other currency, to six places."""
        if self.source_currency == self.currency:
            return amount
        with localcontext(prec=_DIGITS):
            return (amount * self.rate).quantize(_PLACES, ROUND_HALF_UP)

    def of_known(self, amount: Decimal | None) -> Decimal | None:
        """Return an amount in the other currency, None for what is not known."""
        return None if amount is None else self.of(amount)


def unchanged(currency: str) -> Conversion:
    """Return what leaves amounts as they are."""
    return Conversion(currency, currency, Decimal(1), None, "identity", simulated=False)


class Rates:
    """The reference rates of some days, for converting many amounts."""

    def __init__(self, rows: Iterable[ReferenceRate], kept_since: date | None = None) -> None:
        self._kept_since = kept_since or _FIRST_EVER
        """The first day of which any rate is kept: earlier ones will not come."""
        self._days: dict[date, dict[str, ReferenceRate]] = {}
        for row in rows:
            self._days.setdefault(row.day, {})[row.currency] = row

    def conversion(self, source: str, wanted: str, on: date) -> Conversion:
        """Return the conversion by the last rates published until a day, both of one day.

        Raises:
            CurrencyUnknown: rates were published, but none of one of the two currencies; or none
                is kept any more.
            RateUnavailable: none of any currency is known of that week.
        """
        if source == wanted:
            return unchanged(wanted)
        week = sorted((day for day in self._days if day <= on < day + _LOOK_BACK), reverse=True)
        if not week and on < self._kept_since:
            raise CurrencyUnknown(
                f"Reference rates are kept since {self._kept_since}; {on} is before that.",
                field="currency",
            )
        if not week:
            raise RateUnavailable(
                f"No reference rates of the week until {on} are known yet; try again later, or "
                "ask without a currency.",
                retry_after_s=3600,
                field="currency",
            )
        for day in week:
            pair = self._per_eur(day, source), self._per_eur(day, wanted)
            if pair[0] is not None and pair[1] is not None:
                return self._converted(source, wanted, day, pair[0], pair[1])
        missing = wanted if self._per_eur(week[0], wanted) is None else source
        raise CurrencyUnknown(
            f"No reference rate of {missing} was published in the week until {on}.",
            field="currency",
        )

    def _per_eur(self, day: date, currency: str) -> Decimal | None:
        if currency == BASE:
            return Decimal(1)
        row = self._days[day].get(currency)
        return None if row is None else row.per_eur

    def _converted(
        self, source: str, wanted: str, day: date, from_rate: Decimal, to_rate: Decimal
    ) -> Conversion:
        rows = [self._days[day][one] for one in (source, wanted) if one != BASE]
        return Conversion(
            source,
            wanted,
            to_rate / from_rate,
            day,
            rows[0].source,
            simulated=any(row.simulated for row in rows),
        )


async def rates_between(
    session: AsyncSession, currencies: Iterable[str], first: date, last: date
) -> Rates:
    """Return the rates of some currencies with which days from `first` to `last` are converted."""
    # The dollar is always among them: it tells a week without rates from a currency without one.
    wanted = {*currencies, "USD"}
    rows = await session.scalars(
        select(ReferenceRate).where(
            ReferenceRate.currency.in_(sorted(wanted)),
            ReferenceRate.day > max(first, _FIRST_EVER) - _LOOK_BACK,
            ReferenceRate.day <= last,
        )
    )
    return Rates(rows, await session.scalar(select(func.min(ReferenceRate.day))))


async def conversion(
    session: AsyncSession, source: str, wanted: str | None, on: date | None = None
) -> Conversion:
    """Return how to convert amounts on a day (today); no wanted currency: they stay.

    Raises:
        DayInFuture: no rate can be known of it.
        CurrencyUnknown: there is no such rate.
        RateUnavailable: it is not known yet.
    """
    today = now().date()
    day = on or today
    if day > today:
        raise DayInFuture(f"Today is {today} (UTC); ask for a day until then.", field="on")
    if wanted is None or wanted == source:
        return unchanged(source)
    return (await rates_between(session, (source, wanted), day, day)).conversion(
        source, wanted, day
    )


async def latest(session: AsyncSession) -> list[ReferenceRate]:
    """Return the newest rate of every currency, in the order of their codes."""
    rows = await session.scalars(
        select(ReferenceRate)
        .ext(distinct_on(ReferenceRate.currency))
        .order_by(ReferenceRate.currency, ReferenceRate.day.desc())
    )
    return list(rows)
