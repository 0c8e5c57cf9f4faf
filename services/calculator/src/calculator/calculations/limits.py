"""What the numbers of a calculation may be: one table for requests, and for columns of a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The range of one number and what it means; `above` and `below` leave the end itself out."""

    meaning: str
    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    default: float | None = None
    """Assumed where nothing else is known."""
    whole: bool = False

    def described(self) -> Any:
        """Return the metadata of a pydantic field within this range."""
        return FieldInfo(
            ge=self.least,
            gt=self.above,
            le=self.most,
            lt=self.below,
            allow_inf_nan=None if self.whole else False,
            description=self.meaning,
        )


LIMITS: Mapping[str, Limit] = MappingProxyType(
    {
        "hashrate_ths": Limit(meaning="TH/s of one machine.", above=0, most=1e9),
        "power_w": Limit(meaning="Watts of one machine.", above=0, most=1e9),
        "count": Limit(
            meaning="Machines of this kind; all else is said of one.",
            least=1,
            most=1_000_000,
            default=1,
            whole=True,
        ),
        "electricity_usd_per_kwh": Limit(
            meaning="Price of electricity, USD per kWh; also `electricity_cost`.", least=0, most=5
        ),
        "btc_price_usd": Limit(meaning="Price of a bitcoin, USD.", above=0, most=1e9),
        "difficulty": Limit(meaning="Difficulty of the network.", least=1, most=1e30),
        "subsidy_btc": Limit(meaning="What a block creates, BTC.", least=0, most=50),
        "fees_btc_per_block": Limit(
            meaning="Average fees of a block, BTC. Where price, difficulty and subsidy are all "
            "given, 0 unless given too.",
            least=0,
            most=1_000,
            default=0,
        ),
        "pool_fee_percent": Limit(meaning="The pool's fee.", least=0, below=100, default=0),
        "uptime_percent": Limit(
            meaning="Share of the day that the machine hashes and draws power.",
            least=0,
            most=100,
            default=100,
        ),
        "stale_percent": Limit(
            meaning="Work that comes too late to be paid.", least=0, below=100, default=0
        ),
        "capex_usd": Limit(
            meaning="What one machine costs; where it is not given, its model's reference price, "
            "if there is one.",
            least=0,
            most=1e9,
        ),
        "other_opex_usd_per_day": Limit(
            meaning="Running costs of one machine beside electricity, USD a day.",
            least=0,
            most=1e9,
            default=0,
        ),
    }
)
MARKET = ("btc_price_usd", "difficulty", "subsidy_btc", "fees_btc_per_block")
"""What comes from the market where it is not given."""
