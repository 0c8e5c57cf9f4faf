"""A simulated Elexon Insights API: half-hourly stacks, units, meters, prices, all generated.

`async with serve(seed=7, now=clock) as elexon:` for tests; `python -m simulation elexon` for
everything else.
"""

from simulation.elexon.asking import Edit
from simulation.elexon.days import Kind
from simulation.elexon.faults import Fault, Resource
from simulation.elexon.server import Elexon, serve
from simulation.elexon.settlement import Run

__all__ = ["Edit", "Elexon", "Fault", "Kind", "Resource", "Run", "serve"]
