"""Columns of numbers as bytes, as the tables keep them."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

UNKNOWN: Final = -1
"""An energy that telemetry does not know."""
UNRATED: Final = int(np.iinfo(np.int64).min)
"""A cost that does not exist, as no tariff was in force."""
MAX_KWH: Final = 2000
"""More than any machine uses in a half-hour, and millionths of it fit 32 bits."""


def pack(values: npt.NDArray[Any], kind: str) -> bytes:
    """Return numbers as bytes of a little-endian kind (`<i8`, `<f4`, …)."""
    return values.astype(kind, copy=False).tobytes()


def ints(packed: bytes, kind: str = "<i8") -> Ints:
    """Return packed whole numbers."""
    return np.frombuffer(packed, dtype=kind).astype(np.int64)


def floats(packed: bytes, kind: str = "<f8") -> Floats:
    """Return packed real numbers."""
    return np.frombuffer(packed, dtype=kind).astype(np.float64)


def energies_e6(kwh: Floats) -> npt.NDArray[np.int32]:
    """Return energies in kWh (NaN: not known) as millionths."""
    known = ~np.isnan(kwh)
    return np.where(known, np.rint(np.where(known, kwh, 0) * 1e6), UNKNOWN).astype(np.int32)
