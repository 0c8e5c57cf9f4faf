"""The telemetry service: polls every miner, stores what it says, carries out commands."""

from fastapi import FastAPI

from common.app import Service, service_app
from telemetry.alerts import routes as alerts
from telemetry.alerts.events import AlertCleared, AlertFired
from telemetry.commands import reactions as command_reactions
from telemetry.commands import routes as commands
from telemetry.commands.events import CommandProgressed
from telemetry.fleet import reactions as fleet
from telemetry.halfhours import reactions as halfhours
from telemetry.halfhours import routes as half_hour_routes
from telemetry.halfhours.closing import close_half_hours
from telemetry.halfhours.events import HalfHourClosed
from telemetry.rollups.rebuild import roll_up
from telemetry.samples import routes as samples
from telemetry.samples.events import CameOnline, WentOffline
from telemetry.samples.retention import keep_days
from telemetry.settings import Settings
from telemetry.tables import METADATA
from telemetry.worker import collect

SERVICE = Service(
    name="telemetry",
    package_file=__file__,
    title="Telemetry",
    settings=Settings,
    metadata=METADATA,
    routers=[samples.router, alerts.router, commands.router, half_hour_routes.router],
    events=[WentOffline, CameOnline, AlertFired, AlertCleared, CommandProgressed, HalfHourClosed],
    reactions=[fleet.reactions, command_reactions.reactions, halfhours.reactions],
    background=[collect, close_half_hours, roll_up, keep_days],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application, without its background work."""
    return service_app(SERVICE, settings)
