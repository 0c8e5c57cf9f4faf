"""HTTP of the miner models."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from calculator.auth import MinerModelsWriter
from calculator.miner_models import registry
from calculator.miner_models.registry import (
    MinerModelNameTaken,
    MinerModelNotFound,
    SharedMinerModel,
)
from calculator.miner_models.schemas import MinerModelChange, MinerModelView, NewMinerModel
from common.auth import Anyone
from common.db import Session
from common.errors import problems
from common.pages import Page, PageQuery

router = APIRouter(prefix="/api/calculator/miner-models", tags=["miner models"])


@router.get("", response_model=Page[MinerModelView])
async def list_miner_models(
    session: Session,
    _: Anyone,
    page: PageQuery,
    search: Annotated[
        str | None, Query(max_length=120, description="Part of a name or of an alias")
    ] = None,
) -> object:
    """List the miner models: the shared ones, and with a login those of the own organisation."""
    return await registry.list_models(session, page, search)


@router.get("/{model_id}", responses=problems(MinerModelNotFound))
async def get_miner_model(model_id: UUID, session: Session, _: Anyone) -> MinerModelView:
    """Show one miner model."""
    return registry.view_of(await registry.model_of(session, model_id))


@router.post("", status_code=201, responses=problems(MinerModelNameTaken))
async def register_miner_model(
    body: NewMinerModel, session: Session, principal: MinerModelsWriter
) -> MinerModelView:
    """Register a model of the own organisation, or as the platform's Admin a shared one."""
    return await registry.register_model(session, principal, body)


@router.patch(
    "/{model_id}", responses=problems(MinerModelNotFound, SharedMinerModel, MinerModelNameTaken)
)
async def change_miner_model(
    model_id: UUID, body: MinerModelChange, session: Session, principal: MinerModelsWriter
) -> MinerModelView:
    """Change a miner model; fields that are left out stay as they are."""
    return await registry.change_model(session, principal, model_id, body)


@router.delete(
    "/{model_id}", status_code=204, responses=problems(MinerModelNotFound, SharedMinerModel)
)
async def remove_miner_model(
    model_id: UUID, session: Session, principal: MinerModelsWriter
) -> None:
    """Remove a miner model."""
    await registry.remove_model(session, principal, model_id)
