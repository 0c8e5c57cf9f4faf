"""Intelligence: advice computed from what the caller sends."""

from fastapi import FastAPI

from common.app import Service, service_app
from intelligence.db import Base
from intelligence.indicators import recording
from intelligence.indicators import routes as indicators
from intelligence.market import quotes
from intelligence.market import routes as market
from intelligence.market.events import MarketPriceObserved
from intelligence.recommendations import routes as recommendations
from intelligence.settings import Settings
from intelligence.signals import routes as signals

SERVICE = Service(
    name="intelligence",
    package_file=__file__,
    title="Hashyard intelligence",
    settings=Settings,
    metadata=Base.metadata,
    routers=[recommendations.router, market.router, indicators.router, signals.router],
    events=[MarketPriceObserved],
    reactions=[quotes.reactions],
    background=[recording.follow],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
