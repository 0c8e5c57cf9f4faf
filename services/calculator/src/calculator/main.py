"""Calculator: the registry of miner models."""

from fastapi import FastAPI

from calculator.db import Base
from calculator.miner_models import routes as miner_models
from calculator.miner_models.events import MinerModelChanged
from calculator.miner_models.seeding import seed
from calculator.settings import Settings
from common.app import Service, service_app

SERVICE = Service(
    name="calculator",
    package_file=__file__,
    title="Hashyard calculator",
    settings=Settings,
    metadata=Base.metadata,
    routers=[miner_models.router],
    events=[MinerModelChanged],
    setup=seed,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
