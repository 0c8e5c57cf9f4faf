"""The models that every installation knows: nameplates, one row for each hashrate bin.

Public lists agree with the first tables within 2 %. The later ones hold what the original
calculator said differently, kept so that its results can be repeated; where the bin is the same,
the watts stand in the name.
"""

import hashlib
from dataclasses import asdict, dataclass
from decimal import Decimal

import orjson

from calculator.domain.naming import (
    BITMAIN,
    CANAAN,
    MICROBT,
    Cooling,
    Maker,
    bin_aliases,
    bin_name,
    series_aliases,
)

_COOLING: dict[str, Cooling] = {"": "air", "h": "hydro", "i": "immersion"}

# series, TH/s, W, year of release, cooling; the first bin of a series is what its bare name means
_BITMAIN = """
S9            13.5  1323  2017
T17           40    2200  2019
S17 Pro       53    2094  2019
S17+          73    2920  2019
T19           84    3150  2020
S19           95    3250  2020
S19 Pro       110   3250  2020
S19j          90    3250  2021
S19j Pro      100   3050  2021
S19j Pro      104   3068  2021
S19 XP        140   3010  2022
S19j Pro+     120   3300  2022
S19 Pro+ Hyd  198   5445  2022  h
S19 XP Hyd    255   5304  2022  h
S19k Pro      120   2760  2023
S19j XP       151   3247  2023
S21           200   3500  2024
T21           190   3610  2024
S21 Hyd       335   5360  2024  h
S21 Pro       234   3510  2024
S21 XP        270   3645  2024
S21 XP Hyd    473   5676  2024  h
S21+          216   3564  2025
S21+ Hyd      319   4785  2025  h
S21 XP+ Hyd   500   5500  2025  h
S23 Hyd       580   5510  2026  h
"""
_MICROBT = """
M20S          68    3360  2019
M21S          56    3360  2019
M30S          86    3268  2020
M30S+         100   3400  2020
M30S++        112   3472  2020
M31S+         80    3360  2020
M50           114   3306  2022
M50S          126   3276  2022
M53S          260   6760  2023  h
M60           172   3422  2023
M60S          186   3441  2023
M66S          298   5513  2023  i
M63S          390   7215  2023  h
M60S+         212   3600  2024
M60S++        226   3600  2024
"""
_CANAAN = """
A1066         50    3250  2019
A1166 Pro     81    3400  2020
A1246         90    3420  2021
A1366         130   3250  2023
A1466         150   3230  2023
A1566         185   3400  2024
"""
_ORIGINAL_BITMAIN = """
S19j Pro      100   3068  2021
S21           200   3550  2024
S21 Pro       234   3531  2024
S21 Pro Hyd   319   5445  -     h
"""
_ORIGINAL_MICROBT = """
M53S          226   6554  2023  h
M56S          212   5550  -     i
"""
_ORIGINAL_CANAAN = """
A1366         100   3420  2023
A1466         150   3420  2023
Mini 3        37.5  800   -
"""

# The only prices that the original calculator states: of another day, and so only a last resort.
_REFERENCE_PRICES_USD = {
    "Antminer S19 Pro 110T": Decimal(2_500),
    "Antminer S21 200T": Decimal(3_200),
    "Antminer S21 200T 3550W": Decimal(3_200),
}
_SERIES_WIDTH = 14
_TABLES = (
    (BITMAIN, _BITMAIN),
    (MICROBT, _MICROBT),
    (CANAAN, _CANAAN),
    (BITMAIN, _ORIGINAL_BITMAIN),
    (MICROBT, _ORIGINAL_MICROBT),
    (CANAAN, _ORIGINAL_CANAAN),
)


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model as the catalogue states it."""

    name: str
    manufacturer: str
    aliases: list[str]
    hashrate_ths: Decimal
    power_w: Decimal
    cooling: Cooling
    released_year: int | None
    reference_price_usd: Decimal | None

    @property
    def digest(self) -> str:
        """Return a mark that changes with anything stated here."""
        stated = orjson.dumps(asdict(self), default=str, option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(stated).hexdigest()


def catalogue() -> list[CatalogueModel]:
    """Return every model; no two share a name or an alias."""
    series_named: set[tuple[Maker, str]] = set()
    bins_named: set[tuple[Maker, str, str]] = set()
    models: list[CatalogueModel] = []
    for maker, table in _TABLES:
        for line in table.strip().splitlines():
            series, columns = line[:_SERIES_WIDTH].strip(), line[_SERIES_WIDTH:].split()
            one_bin = (maker, series, columns[0])
            first = (maker, series) not in series_named
            models.append(
                _model(
                    maker,
                    series,
                    columns,
                    first_of_series=first,
                    bin_is_taken=one_bin in bins_named,
                )
            )
            series_named.add((maker, series))
            bins_named.add(one_bin)
    return models


def _model(
    maker: Maker, series: str, columns: list[str], *, first_of_series: bool, bin_is_taken: bool
) -> CatalogueModel:
    hashrate_ths, power_w, year, *cooling = columns
    rated_w = int(power_w) if bin_is_taken else None
    aliases = bin_aliases(maker, series, hashrate_ths, rated_w)
    name = bin_name(maker, series, hashrate_ths, rated_w)
    return CatalogueModel(
        name=name,
        manufacturer=maker.name,
        aliases=aliases + series_aliases(maker, series) if first_of_series else aliases,
        hashrate_ths=Decimal(hashrate_ths),
        power_w=Decimal(power_w),
        cooling=_COOLING["".join(cooling)],
        released_year=None if year == "-" else int(year),
        reference_price_usd=_REFERENCE_PRICES_USD.get(name),
    )
