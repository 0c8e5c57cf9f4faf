"""Calculator: miner models, quotes of record, the network, and what machines earn."""

from fastapi import FastAPI

from calculator.batches import jobs as batch_jobs
from calculator.batches import routes as batches
from calculator.calculations import routes as calculations
from calculator.db import Base, Job
from calculator.history import retention
from calculator.history import routes as history
from calculator.miner_models import routes as miner_models
from calculator.miner_models.events import MinerModelChanged
from calculator.miner_models.seeding import seed
from calculator.network import routes as network
from calculator.network.epochs import keep_epochs, seed_epochs
from calculator.network.events import NetworkEpochChanged
from calculator.projections import routes as projections
from calculator.quotes import reactions as quote_reactions
from calculator.quotes import routes as quotes
from calculator.quotes.events import QuotePublished
from calculator.quotes.publishing import publish_quotes
from calculator.reruns import routes as reruns
from calculator.settings import Settings
from calculator.tariffs import reactions as tariff_reactions
from common.app import Service, service_app
from common.jobs import jobs_router
from common.runtime import Runtime


async def prepare(runtime: Runtime) -> None:
    """Bring what is shipped with the code into the database."""
    await seed(runtime)
    await seed_epochs(runtime)


SERVICE = Service(
    name="calculator",
    package_file=__file__,
    title="Hashyard calculator",
    settings=Settings,
    metadata=Base.metadata,
    routers=[
        miner_models.router,
        quotes.router,
        network.router,
        calculations.router,
        projections.router,
        batches.router,
        history.router,
        reruns.router,
        jobs_router("calculator", Job),
    ],
    events=[MinerModelChanged, QuotePublished, NetworkEpochChanged],
    reactions=[quote_reactions.reactions, tariff_reactions.reactions],
    background=[publish_quotes, keep_epochs, batch_jobs.do_jobs, batch_jobs.sweep, retention.sweep],
    setup=prepare,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application."""
    return service_app(SERVICE, settings)
