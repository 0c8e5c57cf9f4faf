"""The one worker of this service's job queue; every feature gives it the kinds that it does.

A feature has `kinds(runtime, jobs)`, which registers its handlers, and `main` names it here once:
a second worker on the same queue would take jobs whose kind it does not know.
"""

from collections.abc import Callable

from common.background import Background
from common.jobs import Jobs, work
from common.runtime import Runtime
from energy.db import Job

Kinds = Callable[[Runtime, Jobs], None]


def doing(*features: Kinds) -> Background:
    """Return the background task that does the jobs of these features."""

    async def do_jobs(runtime: Runtime) -> None:
        await work(runtime, jobs_of(runtime, *features))

    return do_jobs


def jobs_of(runtime: Runtime, *features: Kinds) -> Jobs:
    """Return the kinds of job of these features."""
    jobs = Jobs(Job)
    for add in features:
        add(runtime, jobs)
    return jobs
