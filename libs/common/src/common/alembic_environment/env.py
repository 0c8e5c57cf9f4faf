"""Alembic's entry point; the work is in common.migrations."""

import asyncio

from common.migrations import run_in_environment

asyncio.run(run_in_environment())
