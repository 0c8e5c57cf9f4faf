"""HTTP of the network: how it stands, and its rules to reckon with."""

from decimal import Decimal
from typing import Annotated, ClassVar

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from calculator.auth import QuotesWriter
from calculator.domain.network import BadBits, bits_of_text
from calculator.network import overview
from calculator.network.epochs import EpochUnknown, epoch_at
from calculator.network.recording import NotThisNetwork, record_epochs
from calculator.network.schemas import (
    DifficultyView,
    EpochView,
    ManualEpochs,
    NetworkView,
    RecordedEpochs,
    RetargetView,
    SubsidyView,
)
from calculator.quotes.current import MarketDep, MarketUnknown
from calculator.quotes.record import NotThePlatform
from calculator.sources.parties import parties_of
from common.auth import Anyone
from common.db import Session
from common.errors import Invalid, problems
from common.pages import Page, PageQuery
from common.runtime import RuntimeDep

router = APIRouter(prefix="/api/calculator/network", tags=["network"])


class NotACompactForm(Invalid):
    title: ClassVar[str] = "This compact form stands for no difficulty"


@router.get("", responses=problems(MarketUnknown))
async def get_network(
    market: MarketDep, session: Session, runtime: RuntimeDep, _: Anyone
) -> NetworkView:
    """Show price, difficulty, hashrate, fees, hashprice, the next retarget and halving."""
    return await overview.network_view(session, market, parties_of(runtime).now())


@router.get("/subsidy")
async def get_subsidy(
    _: Anyone, height: Annotated[int, Query(ge=0, le=10**9, examples=[840_000])]
) -> SubsidyView:
    """Say what the block at a height creates."""
    return overview.subsidy_view(height)


@router.get("/difficulty", responses=problems(NotACompactForm))
async def get_difficulty(
    _: Anyone,
    bits: Annotated[
        str,
        Query(
            min_length=1,
            max_length=12,
            description="nBits as 0x17034219, 17034219 or decimal 386089497",
            examples=["0x17034219"],
        ),
    ],
) -> DifficultyView:
    """Say exactly what difficulty a block's compact target stands for."""
    try:
        return overview.difficulty_view(bits_of_text(bits))
    except BadBits as error:
        raise NotACompactForm(str(error), field="bits") from error


@router.get("/retarget")
async def get_retarget(
    _: Anyone,
    timespan_s: Annotated[
        int, Query(ge=1, le=10**12, description="Time that 2,016 blocks took", examples=[1_100_000])
    ],
    difficulty: Annotated[
        Decimal, Query(ge=1, le=10**24, allow_inf_nan=False, examples=["110568428300952.69"])
    ],
) -> RetargetView:
    """Say what becomes of a difficulty after 2,016 blocks that took this long."""
    return overview.retarget_view(difficulty, timespan_s)


@router.get("/epochs", response_model=Page[EpochView])
async def list_epochs(session: Session, _: Anyone, page: PageQuery) -> object:
    """List the known block epochs, newest first: where difficulty or subsidy changed."""
    return await overview.list_epochs(session, page)


@router.post("/epochs", status_code=201, responses=problems(NotThePlatform, NotThisNetwork))
async def record_network_epochs(
    body: ManualEpochs, session: Session, principal: QuotesWriter, runtime: RuntimeDep
) -> RecordedEpochs:
    """Record block epochs by hand, for an installation that reaches no provider of them."""
    return await record_epochs(session, principal, body, parties_of(runtime).now())


@router.get("/epoch", responses=problems(EpochUnknown))
async def get_epoch(
    session: Session,
    runtime: RuntimeDep,
    _: Anyone,
    at: Annotated[AwareDatetime, Query(description="A moment", examples=["2024-04-20T00:09:27Z"])],
) -> EpochView:
    """Show the difficulty and subsidy in force at a moment."""
    return overview.epoch_view(await epoch_at(session, at, parties_of(runtime).now()))
