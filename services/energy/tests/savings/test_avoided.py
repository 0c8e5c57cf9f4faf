"""What stopped machines would have cost is what recording would have charged more."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import numpy as np

from energy.costs.charges import Span, month_charges
from energy.costs.pricing import Reign, price
from energy.domain.tariff import Tariff, Tax, Tier
from energy.savings.avoided import Avoided, by_bill
from energy.tariffs.reading import RatedTariff

JUNE, MIDDLE, JULY = (
    int(datetime(2026, *day, tzinfo=UTC).timestamp()) for day in ((6, 1), (6, 16), (7, 1))
)
STARTS = np.arange(JUNE, JULY, 1800, dtype=np.int64)
LATE = STARTS >= MIDDLE
KW_50 = np.full(len(STARTS), 25_000_000, np.int64)
DEMAND = Tariff(
    name="d", rate_type="flat", timezone="UTC", flat_rate=Decimal(0),
    demand_charge_per_kw=Decimal(5),
)  # fmt: skip
NONE = np.zeros(0, np.int64)


def reigns(tariff: Tariff, *versions: tuple[int, int]) -> list[Reign]:
    rated = RatedTariff(UUID(int=1), 1, "d", tariff, None)
    return [Reign(*span, replace(rated, version=n)) for n, span in enumerate(versions, start=1)]


def curtailed() -> Avoided:
    """Return 50 kW in the second half of June."""
    return Avoided(STARTS[LATE], KW_50[LATE], np.zeros(int(LATE.sum())))


def test_a_peak_before_a_new_version_is_the_months() -> None:
    """100 kW until the 15th, then 50: what is curtailed would not have made the peak higher."""
    actual = (STARTS, KW_50 * np.where(LATE, 1, 2))
    for held in (reigns(DEMAND, (JUNE, JULY)), reigns(DEMAND, (JUNE, MIDDLE), (MIDDLE, JULY))):
        found = by_bill(held, curtailed(), actual, {})
        assert (found.energy, found.other) == (0, 0)


def test_what_is_avoided_is_the_difference_of_what_is_recorded() -> None:
    tiers = (Tier(Decimal(20_000), Decimal("0.10")), Tier(None, Decimal("0.30")))
    tariff = replace(
        DEMAND, rate_type="tiered", flat_rate=None, tiers=tiers, taxes=(Tax("VAT", Decimal(20)),)
    )
    held = reigns(tariff, (JUNE, MIDDLE - 600), (MIDDLE - 600, JULY))
    more = curtailed()
    extra = np.where(LATE, KW_50, 0)

    def charged(kwh: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Decimal:
        energy = price(held, STARTS, kwh, (NONE, NONE)).cost_nano.sum()
        month = month_charges(held, Span(JUNE, JULY, JULY), STARTS, kwh, {})["USD"]
        return Decimal(int(energy)).scaleb(-9) + month.demand + month.taxes

    found = by_bill(held, more, (STARTS, KW_50), {})
    assert found.whole is not None
    assert abs(found.whole - (charged(KW_50 + extra) - charged(KW_50))) < Decimal("0.00001")
