"""Structured logs: one JSON object a line on stdout, secrets removed."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog

_SECRET_KEYS = re.compile(
    r"password|secret|token|authorization|cookie|api_key|credential|dsn", re.IGNORECASE
)
_SECRET_TEXT = re.compile(r"hy_live_\w+|Bearer\s+\S+|(?<=://)[^\s/@:]+:[^\s/@]+(?=@)")
_NOISY = {"aiokafka": logging.ERROR, "uvicorn.access": logging.WARNING, "httpx": logging.WARNING}


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank what looks like a secret, by key and by shape."""
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and key != "token_type":
            event[key] = "[redacted]"
        elif isinstance(value, str):
            event[key] = _SECRET_TEXT.sub("[redacted]", value)
    return event


class _OncePerSecond(logging.Filter):
    """Let one message per text and second through: a lost broker logs 60 lines a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        key = str(record.msg)
        if record.created - self._last.get(key, 0.0) < 1.0:
            return False
        if len(self._last) > 1000:  # noqa: PLR2004  (a bound against endless distinct texts)
            self._last.clear()
        self._last[key] = record.created
        return True


def configure(service: str, level: str) -> None:
    """Set up logging for this process: structlog and the standard library, one format."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]

    def render(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
        return orjson.dumps({"service": service, **event}, default=str).decode()

    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, quiet in _NOISY.items():
        logging.getLogger(name).setLevel(quiet)
    handler.addFilter(_KafkaFilter())


class _KafkaFilter(_OncePerSecond):
    def filter(self, record: logging.LogRecord) -> bool:
        return not record.name.startswith("aiokafka") or super().filter(record)
