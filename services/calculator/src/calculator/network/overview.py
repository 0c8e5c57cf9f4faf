"""What is shown of the network: figures with their origin, and what follows from them by rule."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from calculator.domain.epochs import Epoch, pace_of
from calculator.domain.market import Market, Valued
from calculator.domain.network import (
    HALVING_BLOCKS,
    RETARGET_BLOCKS,
    RETARGET_S,
    difficulty_of,
    difficulty_ratio,
    epoch_after,
    expected_at,
    hashprice_btc_per_ths_day,
    implied_hashrate_ehs,
    next_halving,
    next_retarget,
    retarget,
    subsidy_btc,
    subsidy_sat,
    target_of,
)
from calculator.network.epochs import latest_epoch
from calculator.network.models import NetworkEpoch
from calculator.network.schemas import (
    DifficultyView,
    EpochView,
    Hashprice,
    Hashrate,
    NetworkView,
    NextHalving,
    NextRetarget,
    RetargetView,
    SubsidyView,
)
from calculator.quotes.publishing import essential
from calculator.quotes.schemas import Figure, figure_of, places
from common.pages import PageRequest, page_of, paged

_THS_PER_PHS = 1000
_ASSUMPTIONS = [
    "A block takes difficulty x 2^32 hashes, and comes every 600 s.",
    "Hashprice counts the next block's subsidy and the average fees of the last 144 blocks.",
    "The subsidy follows from the height alone: 50e8 >> (height // 210,000) satoshi.",
]


async def network_view(session: AsyncSession, market: Market, now: datetime) -> NetworkView:
    """Return the network as it stands."""
    height = market.height or 0
    epoch = await latest_epoch(session, height // RETARGET_BLOCKS * RETARGET_BLOCKS, market)
    return NetworkView(
        height=height,
        price_usd=figure_of(market.price_usd, now, 6),
        second_price_usd=_figure(market.second_price_usd, now, 6),
        difficulty=figure_of(market.difficulty, now, 6),
        subsidy_btc=figure_of(market.subsidy_btc, now, 8),
        fees_btc_per_block=figure_of(market.fees_btc_per_block, now, 8),
        hashrate=Hashrate(
            implied_ehs=_ehs(implied_hashrate_ehs(market.difficulty.value)),
            measured=_figure(market.measured_hashrate_ehs, now, 6),
            second=_figure(market.second_network_hashrate_ehs, now, 6),
        ),
        hashprice=_hashprice(market),
        next_retarget=_next_retarget(height, epoch, market.subsidy_btc.at, now),
        halving=_next_halving(height, now),
        stale=any(one.stale for one in essential(market)),
        simulated=any(one.simulated for one in essential(market)),
        warnings=list(market.warnings),
        assumptions=_ASSUMPTIONS,
    )


def _figure(valued: Valued | None, now: datetime, count: int) -> Figure | None:
    return None if valued is None else figure_of(valued, now, count)


def _ehs(value: Decimal) -> float:
    return round(float(value), 6)


def _hashprice(market: Market) -> Hashprice:
    reward = market.subsidy_btc.value + market.fees_btc_per_block.value
    btc = hashprice_btc_per_ths_day(market.difficulty.value, reward)
    usd = btc * market.price_usd.value
    return Hashprice(
        usd_per_ph_day=places(usd * _THS_PER_PHS, 6),
        usd_per_th_day=places(usd, 9),
        btc_per_ph_day=places(btc * _THS_PER_PHS, 11),
        btc_per_th_day=places(btc, 14),
    )


def _next_retarget(tip: int, epoch: Epoch | None, tip_at: datetime, now: datetime) -> NextRetarget:
    height = next_retarget(tip)
    pace = None
    if epoch is not None:
        pace = pace_of(tip - epoch.height, (tip_at - epoch.started_at).total_seconds())
    if pace is None:
        due, change, basis = expected_at(height, tip, now), None, "one block in 600 s"
    else:
        due = now + timedelta(seconds=(height - tip) * pace.seconds_per_block)
        change, basis = round(pace.change_percent, 2), "the pace since the last retarget"
    return NextRetarget(
        height=height,
        remaining_blocks=height - tip,
        estimated_at=due,
        estimated_change_percent=change,
        basis=basis,
    )


def _next_halving(tip: int, now: datetime) -> NextHalving:
    height = next_halving(tip)
    return NextHalving(
        height=height,
        remaining_blocks=height - tip,
        estimated_at=expected_at(height, tip, now),
        subsidy_btc=places(subsidy_btc(tip), 8),
        subsidy_btc_after=places(subsidy_btc(height), 8),
    )


def subsidy_view(height: int) -> SubsidyView:
    """Return what a block creates."""
    after = next_halving(height)
    return SubsidyView(
        height=height,
        era=height // HALVING_BLOCKS,
        subsidy_sat=subsidy_sat(height),
        subsidy_btc=places(subsidy_btc(height), 8),
        next_halving_height=after,
        subsidy_btc_after=places(subsidy_btc(after), 8),
    )


def difficulty_view(bits: int) -> DifficultyView:
    """Return what a compact form stands for.

    Raises:
        BadBits: it stands for no target of this network.
    """
    ratio, difficulty = difficulty_ratio(bits), difficulty_of(bits)
    return DifficultyView(
        bits=f"0x{bits:08x}",
        difficulty=places(difficulty, 6),
        difficulty_numerator=str(ratio.numerator),
        difficulty_denominator=str(ratio.denominator),
        target=f"{target_of(bits):064x}",
        network_hashrate_ehs=_ehs(implied_hashrate_ehs(difficulty)),
    )


def retarget_view(difficulty: Decimal, timespan_s: int) -> RetargetView:
    """Return what becomes of a difficulty after 2,016 blocks."""
    after = retarget(difficulty, timespan_s)
    return RetargetView(
        difficulty=places(difficulty, 6),
        timespan_s=timespan_s,
        expected_timespan_s=RETARGET_S,
        clamped_timespan_s=after.timespan_s,
        clamped=after.timespan_s != timespan_s,
        change_percent=round(float(after.change_percent), 6),
        next_difficulty=places(after.difficulty, 6),
    )


async def list_epochs(session: AsyncSession, page: PageRequest) -> dict[str, object]:
    """Return one page of the epochs, newest first."""
    rows, total = await paged(
        session, select(NetworkEpoch).order_by(NetworkEpoch.height.desc()), page
    )
    return page_of([epoch_view(row) for row in rows], total, page)


def epoch_view(epoch: Epoch | NetworkEpoch) -> EpochView:
    """Return an epoch as it is shown."""
    return EpochView(
        height=epoch.height,
        next_height=epoch_after(epoch.height),
        started_at=epoch.started_at,
        difficulty=places(epoch.difficulty, 6),
        bits=None if epoch.bits is None else f"0x{epoch.bits:08x}",
        subsidy_btc=places(epoch.subsidy_btc, 8),
        source=epoch.source,
        simulated=epoch.simulated,
    )
