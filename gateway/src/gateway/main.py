"""The gateway: identity as a service like any other, and the front before everything."""

from fastapi import FastAPI

from common.app import Service, service_app
from common.background import Role
from gateway.api_keys import routes as api_keys
from gateway.db import Base
from gateway.enrolment import routes as enrolment
from gateway.first_start import seed
from gateway.organisations import routes as organisations
from gateway.organisations.events import OrganisationChanged
from gateway.security import Security
from gateway.sessions import routes as sessions
from gateway.sessions.clearing import clear_sessions
from gateway.settings import Settings
from gateway.trail import routes as trail
from gateway.users import routes as users
from gateway.users.events import UserChanged, UserErased

SERVICE = Service(
    name="gateway",
    package_file=__file__,
    title="Hashyard gateway",
    settings=Settings,
    metadata=Base.metadata,
    routers=[
        sessions.router,
        users.router,
        enrolment.router,
        organisations.router,
        api_keys.router,
        trail.router,
    ],
    events=[OrganisationChanged, UserChanged, UserErased],
    background=[clear_sessions],
    setup=seed,
)


def create_app(settings: Settings, security: Security, *, role: Role = "all") -> FastAPI:
    """Return the identity application. Only the front calls it, with the caller it verified."""
    app = service_app(SERVICE, settings, role=role)
    app.state.security = security
    return app
