"""What hashes would have brought, at the epoch and the quote of each half-hour: pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

from energy.costs.packing import Floats, Ints
from energy.facts.models import NetworkEpoch, Quote

_BTC_PLACES, _USD_PLACES = Decimal("1e-12"), Decimal("1e-6")
_HASHES_PER_TH_H = 3600 * 10**12
_HASHES_PER_DIFFICULTY = 2**32


@dataclass(frozen=True, slots=True)
class Worth:
    """Bitcoin and dollars; None with a reason where an epoch or a quote is not known."""

    btc: Decimal | None
    usd: Decimal | None
    reasons: tuple[str, ...] = ()


def worth(
    th_h: Floats, epochs: Sequence[NetworkEpoch | None], prices: Sequence[Quote | None]
) -> Worth:
    """Return what half-hours of hashes are expected to bring, before fees of the pool.

    Hashes times subsidy over difficulty times 2^32: the expectation, not the luck.
    """
    btc = usd = Decimal(0)
    no_epoch = no_quote = False
    with localcontext(prec=50):
        for hashes, epoch, price in zip(th_h.tolist(), epochs, prices, strict=True):
            if not hashes:
                continue
            no_quote = no_quote or price is None
            if epoch is None:
                no_epoch = True
                continue
            done = Decimal(repr(round(hashes, 9))) * _HASHES_PER_TH_H
            mined = done * epoch.subsidy_btc / (epoch.difficulty * _HASHES_PER_DIFFICULTY)
            btc += mined
            usd += mined * price.price_usd if price is not None else 0
        reasons = ("no_epoch",) * no_epoch + ("no_quote",) * no_quote
        return Worth(
            None if no_epoch else btc.quantize(_BTC_PLACES, ROUND_HALF_UP),
            None if reasons else usd.quantize(_USD_PLACES, ROUND_HALF_UP),
            reasons,
        )


def instants(starts_s: Ints) -> list[datetime]:
    """Return seconds as instants."""
    return [datetime.fromtimestamp(second, UTC) for second in starts_s.tolist()]
