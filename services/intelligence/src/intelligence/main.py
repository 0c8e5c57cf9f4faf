"""Intelligence: advice computed from what the caller sends."""

from fastapi import FastAPI

from common.app import Service, service_app
from intelligence.db import Base
from intelligence.recommendations import routes as recommendations
from intelligence.settings import Settings

SERVICE = Service(
    name="intelligence",
    package_file=__file__,
    title="Hashyard intelligence",
    settings=Settings,
    metadata=Base.metadata,
    routers=[recommendations.router],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
