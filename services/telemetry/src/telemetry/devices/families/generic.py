"""A CGMiner descendant that nobody knows: the reference reports, and nothing to command."""

from telemetry.devices.device import Action, PollPlan

PLAN = PollPlan(every_time=("summary", "devs", "pools"))
ACTIONS: frozenset[Action] = frozenset()
