"""`python -m gateway serve | migrate | revision`."""

import gc
import sys

import uvloop

from common.background import Role
from common.cli import main, ops_server, parser, serve_all, server
from common.log import configure
from gateway.front.application import Front
from gateway.front.protocol import protocol_for
from gateway.main import SERVICE, create_app
from gateway.security import Security
from gateway.settings import Settings


async def serve(settings: Settings, role: Role) -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    security = Security(settings)
    identity = create_app(settings, security, role=role)
    front = Front(settings, identity, security)
    public = server(
        front,
        settings.host,
        settings.port,
        http=protocol_for(settings.header_timeout_s, settings.hosts()),
        ws="none",
        timeout_keep_alive=75,
        backlog=1024,
    )
    public.config.date_header = True  # an origin server with a clock tells the time
    ops = ops_server(settings, lambda: getattr(identity.state, "runtime", None))
    await serve_all([ops, public])


def run() -> None:
    """Run the command line; serving is our own, the rest is every service's."""
    chosen = parser(SERVICE).parse_args()
    if chosen.command != "serve" or chosen.role == "worker":
        main(SERVICE)
        return
    settings = Settings()  # pyright: ignore[reportCallIssue]  (read from the environment)
    configure(SERVICE.name, settings.log_level)
    gc.freeze()
    uvloop.run(serve(settings, chosen.role))


if __name__ == "__main__":
    sys.exit(run())
