"""Metrics of polling, storing and commanding. Never a label per tenant or machine."""

from prometheus_client import Counter, Gauge, Histogram

polls = Counter("telemetry_polls_total", "Polls by outcome", ("outcome",))
poll_late = Histogram(
    "telemetry_poll_late_seconds",
    "How long after a miner's turn in the slot its poll began",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
overruns = Counter("telemetry_poll_overruns_total", "Slots skipped: the last poll still ran")
machines = Gauge("telemetry_machines", "Machines that this worker polls")
queue_rows = Gauge("telemetry_queue_rows", "Rows that wait for the database")
dropped = Counter("telemetry_dropped_rows_total", "Rows dropped: the database was away too long")
repeated = Counter("telemetry_repeated_rows_total", "Rows refused: the slot was already stored")
parked = Counter("telemetry_parked_rows_total", "Rows that the database refused")
stored = Counter("telemetry_stored_rows_total", "Samples stored")
flush = Histogram("telemetry_flush_seconds", "Time to write one batch of rows")
commands = Counter("telemetry_commands_total", "Commands by action and state", ("action", "state"))
command_wait = Histogram(
    "telemetry_command_wait_seconds",
    "From the order's arrival here to its send",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60),
)
command_socket = Histogram(
    "telemetry_command_socket_seconds",
    "Time that one command held its socket",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30),
)
half_hours = Counter("telemetry_half_hours_total", "Half-hours closed, by site", ("kind",))
