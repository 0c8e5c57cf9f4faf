"""The members as their code declares them, and settings to run two of them together."""

import base64
import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from common.app import Service
from common.testing import INTERNAL_KEY

ROOT = Path(__file__).parents[2]
_NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="session")
def members() -> dict[str, Service]:
    """The SERVICE of every member."""
    names = sorted(path.stem for path in (ROOT / "contracts" / "openapi").glob("*.json"))
    return {
        name: importlib.import_module(f"{name}.main").SERVICE
        for name in names
        if name != "hashyard"  # the merged document
    }


@pytest.fixture(scope="session")
def golden() -> dict[str, dict[str, Any]]:
    """The committed contract of every event type: schema and sample."""
    contracts = [
        json.loads(path.read_text()) for path in (ROOT / "contracts" / "events").glob("*.json")
    ]
    return {contract["type"]: contract for contract in contracts}


@pytest.fixture(scope="session")
def service(members: dict[str, Service]) -> Service:
    """Hosting: it publishes the state on which other services' read models stand."""
    return members["hosting"]


@pytest.fixture(scope="session")
def extra_settings() -> dict[str, Any]:
    """What hosting and telemetry want to be told beyond the common settings."""
    return {
        "telemetry_key": INTERNAL_KEY,
        "intelligence_key": INTERNAL_KEY,
        "telemetry_url": _NOBODY,
        "intelligence_url": _NOBODY,
        "device_credential_key": base64.b64encode(b"k" * 32).decode(),
    }
