"""What each tariff of a month charges for its part of it: pure.

Peaks and least sums are the whole month's, and count by the share of the time for which a tariff
held. The rest is its own: energy, each kWh by its price though the steps are those of the month's
total, service, credits, and taxes on all that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from energy.costs.packing import Ints
from energy.costs.pricing import HALF_HOUR_S, Reign
from energy.domain.billing import bill, energy_cost_by_half_hour
from energy.domain.load import Load
from energy.domain.zone import YearMonth

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class MonthPart:
    """A tariff's part of a month's bill, in its currency."""

    energy: Decimal
    service: Decimal
    demand: Decimal
    coincident: Decimal
    minimum: Decimal
    credits: Decimal
    """What is taken off, as a positive amount."""
    taxes: Decimal

    def total(self) -> Decimal:
        """Return all of it."""
        charged = self.energy + self.service + self.demand + self.coincident
        return charged + self.minimum - self.credits + self.taxes


def part_of_month(
    reign: Reign,
    month: Span,
    load: tuple[Ints, Ints],
    earlier_peaks_kw: Mapping[YearMonth, Decimal],
) -> MonthPart:
    """Return a tariff's part of a local month, as far as it has gone; it has held in it.

    `load`: start and energy of the half-hours that touch the month.
    """
    first, last = max(reign.start_s, month[0]), min(reign.end_s, month[1])
    tariff, index = reign.rated.tariff, reign.index
    share = Decimal(last - first) / (month[1] - month[0])
    priced = reign.prices(load[0])
    starts, kwh_e6 = load[0][priced], load[1][priced]
    whole = bill(
        tariff,
        clipped(starts, kwh_e6, month),
        index=index,
        earlier_peaks_kw=earlier_peaks_kw,
        span_s=month,
    )
    own, energy = whole, whole.energy_cost
    if (first, last) != month:
        own = bill(
            tariff, clipped(starts, kwh_e6, (first, last)), index=index, span_s=(first, last)
        )
        costs = energy_cost_by_half_hour(
            tariff,
            starts,
            kwh_e6,
            index=index,
            earlier_peaks_kw=earlier_peaks_kw,
            priced_s=(first, last),
        )
        energy = Decimal(int(costs.nano.sum())).scaleb(-9)
    demand, coincident = whole.demand_charge * share, whole.coincident_charge * share
    minimum = whole.minimum_top_up * share
    base = energy + own.service_charge + demand + coincident + minimum - own.credits
    percent = sum((tax.percent for tax in tariff.taxes), Decimal(0))
    return MonthPart(
        energy=energy,
        service=own.service_charge,
        demand=demand,
        coincident=coincident,
        minimum=minimum,
        credits=own.credits,
        taxes=max(base, Decimal(0)) * percent / 100,
    )


def clipped(starts_s: Ints, kwh_e6: Ints, span: Span) -> Load:
    """Return the part of half-hours that lies in a span, to the millionth of a kWh."""
    begins = np.maximum(starts_s, span[0])
    ends = np.minimum(starts_s + HALF_HOUR_S, span[1])
    # By what was used until then, so that the parts of a half-hour add up to it.
    until, since = (kwh_e6 * (at - starts_s) // HALF_HOUR_S for at in (ends, begins))
    inside = begins < ends
    return Load(begins[inside], ends[inside], (until - since)[inside])
