from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest

from intelligence.domain.indicators import Bars

Walk: TypeAlias = Callable[..., Bars]


@pytest.fixture(scope="session")
def walk() -> Walk:
    """A random walk of hourly candles; the same seed is the same walk."""

    def make(bars: int, seed: int = 7) -> Bars:
        random = np.random.default_rng(seed)
        close = 60_000 * np.exp(np.cumsum(random.normal(0, 0.01, bars)))
        opened = np.concatenate((close[:1], close[:-1]))[:bars]
        spread = np.abs(random.normal(0, 0.004, (2, bars)))
        return Bars(
            time_s=1_750_000_000.0 + 3600 * np.arange(bars, dtype=np.float64),
            open=opened,
            high=np.maximum(opened, close) * (1 + spread[0]),
            low=np.minimum(opened, close) * (1 - spread[1]),
            close=close,
            volume=random.uniform(1, 9, bars),
        )

    return make
