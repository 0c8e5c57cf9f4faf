"""Simulated providers of prices, candles and chain facts, which all tell of one world.

`async with serve(seed=7, now=clock) as upstreams:` for tests; `python -m simulation upstreams`
for everything else.
"""

from simulation.upstreams.faults import Fault
from simulation.upstreams.server import PROVIDERS, Upstreams, serve

__all__ = ["PROVIDERS", "Fault", "Upstreams", "serve"]
