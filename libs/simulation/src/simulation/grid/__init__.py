"""Simulated sources on the electricity grid and on currencies.

A carbon intensity provider of NESO's shape and daily reference rates of the ECB's shape:
`async with serve(seed=7) as grid:` for tests, `python -m simulation grid` for everything else.
"""

from simulation.grid.faults import GridFault
from simulation.grid.server import PROVIDERS, Grid, serve

__all__ = ["PROVIDERS", "Grid", "GridFault", "serve"]
