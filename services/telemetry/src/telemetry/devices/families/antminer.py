"""Stock Antminer firmware: everything in `stats`, and port 4028 only ever reads."""

from telemetry.devices.device import Action, PollPlan

PLAN = PollPlan(every_time=("summary", "stats", "pools"))
ACTIONS: frozenset[Action] = frozenset()
