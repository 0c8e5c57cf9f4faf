"""Intelligence: advice computed from what the caller sends."""

from fastapi import FastAPI

from common.app import Service, service_app
from common.jobs import jobs_router
from intelligence.db import Base, Job
from intelligence.forecasts import routes as forecasts
from intelligence.forecasts import schedule
from intelligence.forecasts.events import ForecastFitted
from intelligence.indicators import recording
from intelligence.indicators import routes as indicators
from intelligence.insights import reactions as sites
from intelligence.insights import routes as insights
from intelligence.market import collector, quotes
from intelligence.market import routes as market
from intelligence.market.events import MarketPriceObserved
from intelligence.recommendations import routes as recommendations
from intelligence.settings import Settings
from intelligence.signals import routes as signals
from intelligence.treasury import automatic, backtesting, proposing
from intelligence.treasury import routes as treasury
from intelligence.treasury import selling_routes as treasury_sales
from intelligence.treasury.events import TreasuryDecided, TreasuryFilled, TreasuryProposed

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
        treasury.router,
        treasury_sales.router,
        jobs_router("treasury", Job),
    ],
    events=[
        MarketPriceObserved,
        ForecastFitted,
        TreasuryProposed,
        TreasuryDecided,
        TreasuryFilled,
    ],
    reactions=[quotes.reactions, sites.reactions],
    background=[
        collector.follow_market,
        recording.follow,
        schedule.keep_forecasts,
        proposing.expire_proposals,
        automatic.propose_on_schedule,
        backtesting.do_jobs,
    ],
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
