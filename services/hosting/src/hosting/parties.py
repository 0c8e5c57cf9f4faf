"""The other services that hosting asks, reachable from one process."""

from typing import Annotated
from weakref import WeakKeyDictionary

from fastapi import Depends

from common.http import ServiceClient
from common.runtime import Runtime, RuntimeDep
from hosting.settings import SettingsDep

_telemetry: WeakKeyDictionary[Runtime, ServiceClient] = WeakKeyDictionary()


def telemetry_client(runtime: RuntimeDep, settings: SettingsDep) -> ServiceClient:
    """Return this process's client of telemetry; its connections are shared by all requests."""
    if runtime not in _telemetry:
        _telemetry[runtime] = ServiceClient(
            settings.telemetry_url,
            audience="telemetry",
            key=settings.telemetry_key.get_secret_value(),
            timeout_s=3,
        )
    return _telemetry[runtime]


TelemetryDep = Annotated[ServiceClient, Depends(telemetry_client)]
