"""The other services that hosting asks, reachable from one process."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from fastapi import Depends

from common.auth import Principal
from common.clock import now
from common.http import ServiceClient
from common.runtime import Runtime, RuntimeDep
from hosting.settings import Settings

# Hosting reads a fleet in its own right: whoever may plan need not be allowed to read telemetry.
_SCOPES = frozenset({"telemetry:read", "recommendations:run"})


@dataclass(frozen=True)
class Parties:
    """Clients of the services that hosting needs."""

    telemetry: ServiceClient
    intelligence: ServiceClient


_made: WeakKeyDictionary[Runtime, Parties] = WeakKeyDictionary()


def parties_of(runtime: Runtime) -> Parties:
    """Return this process's clients; their connections are shared by all requests."""
    if runtime not in _made:
        settings = cast("Settings", runtime.settings)
        _made[runtime] = Parties(
            telemetry=ServiceClient(
                settings.telemetry_url,
                audience="telemetry",
                key=settings.telemetry_key.get_secret_value(),
            ),
            intelligence=ServiceClient(
                settings.intelligence_url,
                audience="intelligence",
                key=settings.intelligence_key.get_secret_value(),
                timeout_s=15,
            ),
        )
    return _made[runtime]


def use(runtime: Runtime, parties: Parties) -> None:
    """Let this process call these clients."""
    _made[runtime] = parties


def on_behalf_of(principal: Principal) -> Principal:
    """Return the caller with the rights that planning itself needs at the other services."""
    return replace(principal, scopes=principal.scopes | _SCOPES)


def itself(organisation_id: UUID, request_id: str) -> Principal:
    """Return the scheduler as a caller: the service, for one organisation."""
    return Principal(
        subject=UUID(int=0),
        kind="service",
        organisation_id=organisation_id,
        client_id=None,
        role="service",
        scopes=_SCOPES,
        request_id=request_id,
        expires_at=now() + timedelta(seconds=60),
    )


def _parties(runtime: RuntimeDep) -> Parties:
    return parties_of(runtime)


PartiesDep = Annotated[Parties, Depends(_parties)]


def telemetry_client(parties: PartiesDep) -> ServiceClient:
    """Return this process's client of telemetry, for a route that needs no other."""
    return parties.telemetry


TelemetryDep = Annotated[ServiceClient, Depends(telemetry_client)]
