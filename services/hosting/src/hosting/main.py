"""The hosting service: sites, machines and curtailment plans."""

from fastapi import FastAPI

from common.app import Service, service_app
from common.jobs import jobs_router
from hosting.curtailment import reactions as curtailment_reactions
from hosting.curtailment import routes as curtailment
from hosting.curtailment import scheduler as curtailment_scheduler
from hosting.curtailment.events import CurtailmentChanged, CurtailmentOrdered
from hosting.db import Base, Job
from hosting.imports import jobs as import_jobs
from hosting.imports import routes as imports
from hosting.incidents import routes as incidents
from hosting.incidents.events import IncidentClosed, IncidentOpened
from hosting.incidents.ledger import announce_incidents
from hosting.miners import reactions as miner_reactions
from hosting.miners import routes as miners
from hosting.miners import tiles
from hosting.miners.events import CommandOrdered, MinerChanged, MinerRegistered
from hosting.quotes import reactions as quote_reactions
from hosting.settings import Settings
from hosting.sites import routes as sites
from hosting.sites.events import SiteChanged
from hosting.tariffs import reactions as tariff_reactions
from hosting.trail import routes as trail

SERVICE = Service(
    name="hosting",
    package_file=__file__,
    title="Hosting",
    settings=Settings,
    metadata=Base.metadata,
    routers=[
        sites.router, imports.router, miners.router, miners.aliases, trail.router, incidents.router,
        curtailment.router, jobs_router("hosting", Job),
    ],
    events=[
        SiteChanged, MinerRegistered, MinerChanged, CommandOrdered, IncidentOpened, IncidentClosed,
        CurtailmentOrdered, CurtailmentChanged,
    ],
    reactions=[
        miner_reactions.reactions, curtailment_reactions.reactions, quote_reactions.reactions,
        tariff_reactions.reactions,
    ],
    background=[
        announce_incidents, curtailment_scheduler.run, import_jobs.do_jobs, import_jobs.sweep,
    ],
    setup=tiles.watch,
)  # fmt: skip


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the application, without its background work."""
    return service_app(SERVICE, settings)
