"""Metrics that every service has. Names follow OTel's conventions; never a label per tenant."""

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

request_duration = Histogram(
    "http_server_request_duration_seconds",
    "Time from the request's first byte to the answer's last",
    ("http_request_method", "http_route", "http_response_status_code"),
    buckets=_BUCKETS,
)
outbox_published = Counter("outbox_published_total", "Events sent to the broker")
outbox_oldest_age = Gauge("outbox_oldest_pending_age_seconds", "Age of the oldest unsent event")
relay_leader = Gauge("relay_leader", "1 while this process sends its service's outbox")
handled = Counter("events_handled_total", "Events handled", ("type", "result"))
event_age = Histogram(
    "event_age_at_handle_seconds",
    "Time from an event's occurrence to the end of its handling",
    buckets=(*_BUCKETS, 30, 60, 300),
)
task_restarts = Counter("background_restarts_total", "Restarts of a background task", ("task",))
loop_lag = Gauge("eventloop_lag_seconds", "How late the event loop wakes up")
