"""Intelligence: advice computed from what the caller sends."""

from fastapi import FastAPI

from common.app import Service, service_app
from intelligence.db import Base
from intelligence.forecasts import routes as forecasts
from intelligence.forecasts import schedule
from intelligence.forecasts.events import ForecastFitted
from intelligence.indicators import recording
from intelligence.indicators import routes as indicators
from intelligence.insights import reactions as sites
from intelligence.insights import routes as insights
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
    routers=[
        recommendations.router,
        market.router,
        indicators.router,
        signals.router,
        forecasts.router,
        insights.router,
    ],
    events=[MarketPriceObserved, ForecastFitted],
    reactions=[quotes.reactions, sites.reactions],
    background=[recording.follow, schedule.keep_forecasts],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
