"""The registry of miner models: shared rows, and each organisation's own."""

from collections.abc import Collection
from typing import Any, ClassVar, cast
from uuid import UUID

from sqlalchemy import case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.db import AuditEvent, Outbox
from calculator.domain.naming import Cooling, fold
from calculator.miner_models.events import MinerModelChanged
from calculator.miner_models.models import MinerModel, MinerModelName
from calculator.miner_models.schemas import MinerModelChange, MinerModelView, NewMinerModel
from common.audit import audit
from common.auth import PLATFORM_ORGANISATION, Principal
from common.clock import now
from common.errors import Conflict, Forbidden, NotFound
from common.pages import PageRequest, page_of, paged


class MinerModelNotFound(NotFound):
    title: ClassVar[str] = "No such miner model"


class MinerModelNameTaken(Conflict):
    title: ClassVar[str] = "A miner model of this name exists"


class SharedMinerModel(Forbidden):
    title: ClassVar[str] = "A shared miner model belongs to the platform"


async def list_models(
    session: AsyncSession, wanted: PageRequest, search: str | None
) -> dict[str, Any]:
    """Return one page of the models the caller may see; what bears the name searched for first."""
    query = select(MinerModel).where(MinerModel.removed_at.is_(None))
    folded = fold(search or "")
    if folded:
        named = select(MinerModelName.model_id)
        found = named.where(MinerModelName.name.contains(folded, autoescape=True))
        exact = MinerModel.id.in_(named.where(MinerModelName.name == folded))
        query = query.where(MinerModel.id.in_(found)).order_by(case((exact, 0), else_=1))
    models, total = await paged(
        session, query.order_by(func.lower(MinerModel.name), MinerModel.id), wanted
    )
    return page_of([view_of(model) for model in models], total, wanted)


async def model_of(session: AsyncSession, model_id: UUID) -> MinerModel:
    """Return a model that the caller may see.

    Raises:
        MinerModelNotFound: there is none, it was removed, or it is another organisation's.
    """
    query = select(MinerModel).where(MinerModel.id == model_id, MinerModel.removed_at.is_(None))
    model = await session.scalar(query)
    if model is None:
        raise MinerModelNotFound(f"There is no miner model {model_id}.")
    return model


async def register_model(
    session: AsyncSession, principal: Principal, body: NewMinerModel
) -> MinerModelView:
    """Register a model of the caller's organisation; the platform's are shared.

    Raises:
        MinerModelNameTaken: another model of this organisation has one of the names.
    """
    model = MinerModel(organisation_id=principal.organisation_id, **body.model_dump())
    session.add(model)
    await session.flush()
    await _claim_names(session, model)
    await session.refresh(model)
    announce(session, model)
    await _audit(session, principal, "miner-model.register", model, body.model_dump())
    return view_of(model)


async def change_model(
    session: AsyncSession, principal: Principal, model_id: UUID, body: MinerModelChange
) -> MinerModelView:
    """Change the given fields of a model."""
    model = await _own_model(session, principal, model_id)
    changes = body.model_dump(exclude_unset=True)
    for name, value in changes.items():
        setattr(model, name, value)
    model.version += 1
    await session.flush()
    await _claim_names(session, model)
    await session.refresh(model)
    announce(session, model)
    await _audit(session, principal, "miner-model.change", model, changes)
    return view_of(model)


async def remove_model(session: AsyncSession, principal: Principal, model_id: UUID) -> None:
    """Remove a model; machines that were rated by it keep their rating."""
    model = await _own_model(session, principal, model_id)
    await retire(session, model)
    await _audit(session, principal, "miner-model.remove", model, {})


async def retire(session: AsyncSession, model: MinerModel) -> None:
    """Take a model and its names out of use, and say so."""
    model.removed_at = now()
    model.version += 1
    await release_names(session, [model.id])
    await session.flush()
    announce(session, model)


async def _own_model(session: AsyncSession, principal: Principal, model_id: UUID) -> MinerModel:
    """Return a model of the caller's own organisation, locked until the end.

    Raises:
        MinerModelNotFound: the caller cannot see it.
        SharedMinerModel: it can be seen, but is the platform's.
    """
    model = await model_of(session, model_id)
    if model.organisation_id != principal.organisation_id:
        raise SharedMinerModel(
            f"{model.name} is shared by all organisations. Register one of your own instead; under "
            "the same name it takes the place of the shared one for your machines."
        )
    await session.refresh(model, with_for_update=True)
    if model.removed_at is not None:
        raise MinerModelNotFound(f"There is no miner model {model_id}.")
    return model


async def _claim_names(session: AsyncSession, model: MinerModel) -> None:
    """Write down the names that now mean this model.

    Raises:
        MinerModelNameTaken: one of them means another model of this organisation.
    """
    names = {fold(name): name for name in (*model.aliases, model.name)}
    taken = await session.scalar(
        select(MinerModelName.name)
        .where(
            MinerModelName.organisation_id == model.organisation_id,
            MinerModelName.model_id != model.id,
            MinerModelName.name.in_(names),
        )
        .order_by(MinerModelName.name)
        .limit(1)
    )
    if taken is not None:
        field = "name" if taken == fold(model.name) else "aliases"
        raise MinerModelNameTaken(
            f"{names[taken]} already names another miner model here.", field=field
        )
    await release_names(session, [model.id])
    session.add_all(MinerModelName(**row) for row in name_rows(model))
    await session.flush()


async def release_names(session: AsyncSession, models: Collection[UUID]) -> None:
    """Forget every name of these models."""
    await session.execute(delete(MinerModelName).where(MinerModelName.model_id.in_(models)))


def name_rows(model: MinerModel) -> list[dict[str, Any]]:
    """Return what is written down for each name of a model."""
    return [
        {"organisation_id": model.organisation_id, "name": name, "model_id": model.id}
        for name in sorted({fold(name) for name in (model.name, *model.aliases)})
    ]


def announce(session: AsyncSession, model: MinerModel) -> None:
    """Publish the model as it is now."""
    view = view_of(model)
    session.add(
        Outbox.of(
            MinerModelChanged(
                organisation_id=model.organisation_id,
                model_id=model.id,
                removed=model.removed_at is not None,
                **view.model_dump(exclude={"id", "shared", "created_at", "reference_price_usd"}),
            )
        )
    )


def view_of(model: MinerModel) -> MinerModelView:
    """Return a model as it is shown."""
    return MinerModelView(
        id=model.id,
        shared=model.organisation_id == PLATFORM_ORGANISATION,
        name=model.name,
        manufacturer=model.manufacturer,
        aliases=model.aliases,
        hashrate_ths=float(model.hashrate_ths),
        power_w=float(model.power_w),
        efficiency_j_per_th=round(float(model.power_w) / float(model.hashrate_ths), 3),
        cooling=cast("Cooling", model.cooling),
        released_year=model.released_year,
        reference_price_usd=model.reference_price_usd,
        version=model.version,
        created_at=model.created_at,
    )


async def _audit(
    session: AsyncSession,
    principal: Principal,
    action: str,
    model: MinerModel,
    detail: dict[str, Any],
) -> None:
    await audit(
        session,
        AuditEvent,
        principal,
        action=action,
        object_type="miner-model",
        object_id=model.id,
        detail={"name": model.name} | detail,
    )
