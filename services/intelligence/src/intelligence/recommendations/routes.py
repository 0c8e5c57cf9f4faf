"""HTTP of the recommendations."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, TypedDict, cast

from fastapi import APIRouter, Depends, FastAPI, Request

from common.errors import problems
from intelligence.auth import RecommendationRunner
from intelligence.recommendations.advice import (
    AmbiguousMiners,
    TargetOutOfReach,
    recommend,
)
from intelligence.recommendations.schemas import Recommendation, RecommendationRequest
from intelligence.recommendations.solver import SolverPool, solver_pool
from intelligence.settings import Settings


class _State(TypedDict):
    solvers: SolverPool


@asynccontextmanager
async def _solvers(app: FastAPI) -> AsyncGenerator[_State]:
    settings = cast("Settings", app.state.runtime.settings)
    async with solver_pool(settings.solver_processes) as pool:
        yield {"solvers": pool}


router = APIRouter(
    prefix="/api/intelligence/curtailment", tags=["recommendations"], lifespan=_solvers
)


def _pool(request: Request) -> SolverPool:
    return cast("SolverPool", request.state.solvers)


@router.post("/recommendations", responses=problems(TargetOutOfReach, AmbiguousMiners))
async def recommend_curtailment(
    body: RecommendationRequest,
    solvers: Annotated[SolverPool, Depends(_pool)],
    _: RecommendationRunner,
) -> Recommendation:
    """Choose the machines whose stopping sheds the power asked for and loses least.

    Never short of the target. With the objective `profit` machines that lose money are stopped
    even beyond it, as far as the limits allow.
    """
    return await recommend(body, solvers)
