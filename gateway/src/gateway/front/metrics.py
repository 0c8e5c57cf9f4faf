"""Metrics of the front. Never a label per caller, organisation or path."""

from prometheus_client import Counter, Gauge, Histogram

from common.metrics import request_duration

authenticated = Counter("gateway_auth_total", "Credentials looked at", ("kind", "result"))
token_cache = Counter("gateway_token_cache_total", "Look-ups of verified credentials", ("result",))
rate_limited = Counter("gateway_ratelimit_refused_total", "Requests over their allowance")
shed = Counter("gateway_shed_total", "Requests refused to protect a service", ("reason",))
breaker_open = Gauge(
    "gateway_breaker_open", "1 while calls to a service are refused", ("upstream",)
)
upstream_seconds = Histogram(
    "gateway_upstream_request_duration_seconds",
    "Time from sending a request to a service to its answer's head",
    ("upstream",),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_served: dict[tuple[str, str, int], Histogram] = {}


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request."""
    key = (method, route, status)
    child = _served.get(key)
    if child is None:
        child = _served[key] = request_duration.labels(method, route, status)
    child.observe(seconds)
