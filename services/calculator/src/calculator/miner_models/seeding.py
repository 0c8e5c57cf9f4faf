"""Brings the shared models to what the catalogue says, once at every start."""

from dataclasses import asdict

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from structlog import get_logger

from calculator.miner_models.catalogue import CatalogueModel, catalogue
from calculator.miner_models.models import MinerModel, MinerModelName
from calculator.miner_models.registry import announce, name_rows, release_names, retire
from common.auth import PLATFORM_ORGANISATION
from common.runtime import Runtime

log = get_logger()
_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7201317)")


async def seed(runtime: Runtime) -> None:
    """Add, change and retire shared models where the catalogue has changed, and publish them."""
    async with runtime.worker_session() as session:
        changed = await bring_up_to_date(session, catalogue())
    if changed:
        log.info("miner_models.seeded", changed=changed)


async def bring_up_to_date(session: AsyncSession, stated: list[CatalogueModel]) -> int:
    """Return how many models changed.

    A row follows the catalogue only when the catalogue itself has changed: what an Admin corrected
    or removed in the meantime stays so.
    """
    await session.execute(_ONE_AT_A_TIME)
    rows = await session.scalars(
        select(MinerModel).where(
            MinerModel.organisation_id == PLATFORM_ORGANISATION,
            MinerModel.catalogue_name.is_not(None),
        )
    )
    known = {row.catalogue_name: row for row in rows}
    named = {model.name for model in stated}
    gone = [row for name, row in known.items() if name not in named and row.removed_at is None]
    stale = [
        model
        for model in stated
        if (row := known.get(model.name)) is None or row.catalogue_digest != model.digest
    ]
    # All old names first: a name may move from one model to another.
    moving = [*gone, *(known[model.name] for model in stale if model.name in known)]
    await release_names(session, [row.id for row in moving])
    for row in gone:
        await retire(session, row)
    for model in stale:
        await _state(session, known.get(model.name), model)
    return len(gone) + len(stale)


async def _state(session: AsyncSession, row: MinerModel | None, model: CatalogueModel) -> None:
    marks = {"catalogue_name": model.name, "catalogue_digest": model.digest}
    if row is None:
        row = MinerModel(organisation_id=PLATFORM_ORGANISATION, **asdict(model), **marks)
        session.add(row)
    else:
        for name, value in (asdict(model) | marks).items():
            setattr(row, name, value)
        row.removed_at = None
        row.version += 1
    await session.flush()
    # A name that an Admin has given to a model of theirs stays with that.
    await session.execute(insert(MinerModelName).on_conflict_do_nothing().values(name_rows(row)))
    await session.refresh(row)
    announce(session, row)
