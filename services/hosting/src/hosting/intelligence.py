"""The intelligence service, as hosting sees it."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import orjson
from pydantic import BaseModel, ValidationError
from structlog import get_logger

from common.auth import Principal
from common.errors import Unavailable
from common.http import ServiceClient

log = get_logger()
_PATH = "/api/intelligence/curtailment/recommendations"


class RecommendationUnusable(Unavailable):
    title: ClassVar[str] = "The recommendation is not available"


class LeftOut(BaseModel):
    """A machine that the recommendation did not consider."""

    id: UUID
    reason: str


class Recommendation(BaseModel):
    """Which machines to stop, and how good the choice is."""

    shutdown: list[UUID]
    power_reduction_w: float
    hashrate_loss_ths: float
    bound: float | None = None
    gap: float | None = None
    method: str | None = None
    elapsed_ms: float | None = None
    skipped: list[LeftOut] = []


async def recommend(
    client: ServiceClient,
    principal: Principal,
    *,
    miners: Sequence[dict[str, Any]],
    target_power_w: float,
    objective: str,
    max_age_s: float,
    hashprice_usd_per_ths_day: float | None = None,
) -> Recommendation:
    """Ask which of the machines to stop for the least loss.

    Raises:
        RecommendationUnusable: the answer is none.
        Unavailable: intelligence is away; nobody guesses in its place.
        Refused: intelligence refuses the question.
    """
    question: dict[str, Any] = {
        "miners": miners,
        "target_power_w": target_power_w,
        "objective": objective,
        "max_age_s": max_age_s,
    }
    if hashprice_usd_per_ths_day is not None:
        question["hashprice_usd_per_ths_day"] = hashprice_usd_per_ths_day
    try:
        answer = await client.post(principal, _PATH, json=question)
        return Recommendation.model_validate(answer)
    except (ValidationError, orjson.JSONDecodeError) as error:
        log.warning("intelligence.bad_recommendation", error=str(error)[:300])
        raise RecommendationUnusable(
            "The intelligence service gave an answer that cannot be read; try again.",
            retry_after_s=5,
        ) from error
