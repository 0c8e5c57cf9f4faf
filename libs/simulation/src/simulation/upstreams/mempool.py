"""mempool.space: prices, retargeting, mining statistics, fees and blocks."""

import math
from itertools import pairwise

from simulation.upstreams.asking import Ask, Handler, Refusal, Stall
from simulation.upstreams.chain import BLOCKS, FIRST_EPOCH, Block, Epoch
from simulation.upstreams.prices import DAY_S

STALL = Stall(offset_bps=-1.0, period_hours=29.0)
USD_TO = {"USD": 1.0, "EUR": 0.92, "GBP": 0.79, "CAD": 1.38, "CHF": 0.88, "AUD": 1.52, "JPY": 151.0}
PERIOD_DAYS = {
    "1d": 1,
    "3d": 3,
    "1w": 7,
    "1m": 30,
    "3m": 91,
    "6m": 182,
    "1y": 365,
    "2y": 730,
    "3y": 1095,
    "all": 40 * 365,
}
HASHRATE_BLOCKS = 1008
POOLS = ("North", "South", "East", "West")
NOT_FOUND = Refusal(404, "Block not found")


def prices(ask: Ask) -> object:
    """Answer whole prices in several currencies and when they were taken."""
    return {"time": int(ask.said_s(ask.now_s)) // 300 * 300} | _prices_at(ask, ask.now_s)


def historical_price(ask: Ask) -> object:
    """Answer the hour's price at a moment, or all hours of the last month."""
    moment = ask.query.get("timestamp", "")
    if moment and not moment.isdecimal():
        raise Refusal(400, "Invalid timestamp")
    hour_s = int(ask.now_s) // 3600 * 3600
    if moment:
        hours = [min(int(moment), hour_s) // 3600 * 3600]
    else:
        hours = list(range(hour_s, hour_s - 30 * DAY_S, -3600))
    rows = [{"time": int(ask.said_s(at_s))} | _prices_at(ask, at_s) for at_s in hours]
    return {"prices": ask.mangled(rows), "exchangeRates": {f"USD{k}": v for k, v in USD_TO.items()}}


def difficulty_adjustment(ask: Ask) -> object:
    """Answer how far this epoch is and what its end will change, if it goes on like this."""
    epoch, height = ask.chain.epoch_at(ask.now_s), ask.height
    done = height - epoch.first_height
    elapsed_s = max(ask.now_s - epoch.started_s, 1.0)
    pace_s = elapsed_s / done if done else 600.0
    remaining = BLOCKS - done - 1 or BLOCKS
    remaining_ms = remaining * pace_s * 1000
    return {
        "progressPercent": done / BLOCKS * 100,
        "difficultyChange": ask.told((min(max(600.0 / pace_s, 0.25), 4.0) - 1.0) * 100),
        "estimatedRetargetDate": ask.said_ms(ask.now_s) + round(remaining_ms),
        "remainingBlocks": remaining,
        "remainingTime": round(remaining_ms),
        "previousRetarget": (_change_into(ask, epoch) - 1.0) * 100,
        "previousTime": int(ask.said_s(epoch.started_s)),
        "nextRetargetHeight": epoch.first_height + BLOCKS,
        "timeAvg": round(pace_s * 1000),
        "adjustedTimeAvg": round(pace_s * 1000),
        "timeOffset": 0,
        "expectedBlocks": elapsed_s / 600.0,
    }


def hashrate(ask: Ask) -> object:
    """Answer the days' hashrates and the epochs of a period."""
    since_s = _since_s(ask, ask.path.get("period", "all"))
    today_s = int(ask.now_s) // DAY_S * DAY_S
    first_s = max(math.ceil(since_s / DAY_S) * DAY_S, ask.chain.block(FIRST_EPOCH * BLOCKS).time_s)
    days = [
        {
            "timestamp": int(ask.said_s(at_s)),
            "avgHashrate": ask.told(ask.chain.hashes_per_s_between(at_s, at_s + DAY_S)),
        }
        for at_s in range(math.ceil(first_s / DAY_S) * DAY_S, today_s, DAY_S)
    ]
    return {
        "hashrates": ask.mangled(days),
        "difficulty": [
            {
                "time": int(ask.said_s(epoch.started_s)),
                "height": epoch.first_height,
                "difficulty": ask.told(epoch.difficulty),
                "adjustment": _change_into(ask, epoch),
            }
            for epoch in ask.chain.epochs_until(ask.now_s)
            if epoch.started_s >= since_s
        ],
        "currentHashrate": ask.told(ask.chain.hashes_per_s(ask.height, HASHRATE_BLOCKS)),
        "currentDifficulty": ask.told(ask.chain.epoch_at(ask.now_s).difficulty),
    }


def difficulty_adjustments(ask: Ask) -> object:
    """Answer the epochs of a period, newest first: time, height, difficulty, ratio."""
    since_s = _since_s(ask, ask.path.get("interval", "all"))
    rows = [
        [
            int(ask.said_s(epoch.started_s)),
            epoch.first_height,
            ask.told(epoch.difficulty),
            round(_change_into(ask, epoch), 6),
        ]
        for epoch in reversed(ask.chain.epochs_until(ask.now_s))
        if epoch.started_s >= since_s
    ]
    return ask.mangled(rows)


def reward_stats(ask: Ask) -> object:
    """Answer what the last so many blocks paid, in satoshi, as strings."""
    written = ask.path["count"]
    if not written.isdecimal() or not 0 < int(written) <= 20 * BLOCKS:
        raise Refusal(400, "Invalid block count")
    last = ask.height
    blocks = ask.chain.blocks(last - int(written) + 1, last)
    fees = sum(block.fees_sat for block in blocks)
    return {
        "startBlock": blocks[0].height,
        "endBlock": last,
        "totalReward": str(sum(block.subsidy_sat for block in blocks) + fees),
        "totalFee": str(fees),
        "totalTx": str(sum(block.transactions for block in blocks)),
    }


def recommended_fees(ask: Ask) -> object:
    """Answer fee rates in satoshi a virtual byte."""
    rate = max(round(ask.chain.block(ask.height).fees_sat / 1_000_000), 1)
    return {
        "fastestFee": rate + 1,
        "halfHourFee": rate,
        "hourFee": max(rate - 1, 1),
        "economyFee": 1,
        "minimumFee": 1,
    }


def next_blocks(ask: Ask) -> object:
    """Answer the blocks that wait in the mempool."""
    recent = ask.chain.blocks(ask.height - 2, ask.height)
    return [
        {
            "blockSize": block.size_bytes,
            "blockVSize": 998_000,
            "nTx": block.transactions,
            "totalFees": block.fees_sat,
            "medianFee": block.fees_sat / 1_000_000,
            "feeRange": [1, block.fees_sat / 500_000],
        }
        for block in recent
    ]


def tip_height(ask: Ask) -> object:
    return str(ask.height)


def tip_hash(ask: Ask) -> object:
    return ask.chain.hash_of(ask.height)


def block_hash(ask: Ask) -> object:
    """Answer the hash at a height."""
    written = ask.path["height"]
    if not written.isdecimal() or not ask.chain.knows(int(written), ask.now_s):
        raise NOT_FOUND
    return ask.chain.hash_of(int(written))


def block(ask: Ask) -> object:
    """Answer one block by its hash."""
    height = ask.chain.height_of(ask.path["hash"], ask.now_s)
    if height is None:
        raise NOT_FOUND
    return _block(ask, ask.chain.block(height))


def blocks(ask: Ask) -> object:
    """Answer fifteen blocks, from a height or the newest downwards."""
    written = ask.path.get("height", str(ask.height))
    if not written.isdecimal():
        raise Refusal(400, "Invalid height")
    last = min(int(written), ask.height)
    found = ask.chain.blocks(last - 14, last)
    return ask.mangled([_block(ask, each) for each in reversed(found)])


def _block(ask: Ask, found: Block) -> dict[str, object]:
    chain = ask.chain
    recent = sorted(each.time_s for each in chain.blocks(found.height - 10, found.height))
    return {
        "id": chain.hash_of(found.height),
        "height": found.height,
        "version": 0x20000000,
        "timestamp": int(ask.said_s(found.time_s)),
        "tx_count": found.transactions,
        "size": found.size_bytes,
        "weight": min(found.size_bytes * 2, 3_999_000),
        "previousblockhash": chain.hash_of(max(found.height - 1, FIRST_EPOCH * BLOCKS)),
        "mediantime": int(ask.said_s(recent[len(recent) // 2])),
        "bits": found.bits,
        "difficulty": ask.told(found.difficulty),
        "extras": {
            "totalFees": found.fees_sat,
            "reward": found.subsidy_sat + found.fees_sat,
            "medianFee": found.fees_sat / 1_000_000,
            "pool": {"id": found.height % 4, "name": POOLS[found.height % 4] + " (simulated)"},
        },
    }


def _prices_at(ask: Ask, at_s: float) -> dict[str, float]:
    price = ask.price_usd(at_s)
    return {code: ask.told(round(price * rate)) for code, rate in USD_TO.items()}


def _change_into(ask: Ask, epoch: Epoch) -> float:
    """Return this epoch's difficulty over the one before; 1 for the first there is."""
    if epoch.number == FIRST_EPOCH:
        return 1.0
    before = ask.chain.epoch_of(epoch.first_height - 1)
    return epoch.difficulty / before.difficulty


def _since_s(ask: Ask, period: str) -> float:
    if period not in PERIOD_DAYS:
        raise Refusal(400, f"Invalid period {period}")
    return max(ask.now_s - PERIOD_DAYS[period] * DAY_S, 0.0)


def mined_fees(ask: Ask) -> object:
    """Answer the mean fees of a block, day by day."""
    since_s = max(_since_s(ask, ask.path["period"]), ask.now_s - 365 * DAY_S)
    heights = range(ask.chain.height_at(since_s), ask.height + 1, 144)
    rows: list[dict[str, object]] = []
    for first, last in pairwise(heights):
        paid = [each.fees_sat for each in ask.chain.blocks(first + 1, last)]
        at_s = ask.chain.block(last).time_s
        rows.append(
            {
                "avgHeight": (first + last) // 2,
                "timestamp": int(ask.said_s(at_s)),
                "avgFees": round(sum(paid) / len(paid)),
                "USD": ask.told(round(ask.price_usd(at_s))),
            }
        )
    return ask.mangled(rows)


ROUTES: dict[str, Handler] = {
    "GET /api/v1/prices": prices,
    "GET /api/v1/historical-price": historical_price,
    "GET /api/v1/difficulty-adjustment": difficulty_adjustment,
    "GET /api/v1/mining/hashrate": hashrate,
    "GET /api/v1/mining/hashrate/{period}": hashrate,
    "GET /api/v1/mining/difficulty-adjustments": difficulty_adjustments,
    "GET /api/v1/mining/difficulty-adjustments/{interval}": difficulty_adjustments,
    "GET /api/v1/mining/reward-stats/{count}": reward_stats,
    "GET /api/v1/mining/blocks/fees/{period}": mined_fees,
    "GET /api/v1/fees/recommended": recommended_fees,
    "GET /api/v1/fees/mempool-blocks": next_blocks,
    "GET /api/blocks/tip/height": tip_height,
    "GET /api/blocks/tip/hash": tip_hash,
    "GET /api/block-height/{height}": block_hash,
    "GET /api/block/{hash}": block,
    "GET /api/v1/block/{hash}": block,
    "GET /api/v1/blocks": blocks,
    "GET /api/v1/blocks/{height}": blocks,
}
