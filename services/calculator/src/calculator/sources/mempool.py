"""mempool.space: the second price, block heights, fees, and the history of difficulty."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from calculator.domain.readings import Kind, Reading
from calculator.sources.figures import Figures
from common.party import NoAnswer, Party

FEE_BLOCKS = 144
_EXA = 10**18
_SAT = 10**8
_ROW = 3
_MAX_ROWS = 1000
_HASH_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The first block of a difficulty."""

    height: int
    at: datetime
    difficulty: Decimal
    simulated: bool


async def price(party: Party) -> list[Reading]:
    """Return bitcoin's price in US dollars.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.get("/api/v1/prices"))
    at = answer.moment(answer.number("time"))
    return [answer.reading(Kind.PRICE_USD, answer.number("USD"), at)]


async def height(party: Party) -> list[Reading]:
    """Return the height of the newest block.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.get("/api/blocks/tip/height"))
    return [answer.reading(Kind.HEIGHT, answer.decimal(answer.content))]


async def hashrate(party: Party) -> list[Reading]:
    """Return the hashrate of the last three days, and the difficulty.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.get("/api/v1/mining/hashrate/3d"))
    return [
        answer.reading(Kind.HASHRATE_EHS, answer.number("currentHashrate") / _EXA),
        answer.reading(Kind.DIFFICULTY, answer.number("currentDifficulty")),
    ]


async def fees(party: Party) -> list[Reading]:
    """Return the average fees of the last 144 blocks.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.get(f"/api/v1/mining/reward-stats/{FEE_BLOCKS}"))
    blocks = answer.number("endBlock") - answer.number("startBlock") + 1
    if blocks <= 0:
        raise NoAnswer("mempool: fees of no block")
    each = answer.number("totalFee") / _SAT / blocks
    return [answer.reading(Kind.FEES_BTC_PER_BLOCK, each)]


async def adjustments(party: Party, interval: str) -> list[Adjustment]:
    """Return the first blocks of all difficulties within an interval ("1m" to "3y"), oldest first.

    Raises:
        NoAnswer: there are none that can be believed.
    """
    answer = Figures(await party.get(f"/api/v1/mining/difficulty-adjustments/{interval}"))
    found: list[Adjustment] = []
    for row in answer.rows(answer.content)[:_MAX_ROWS]:
        time, block, difficulty = _columns(answer, row)
        at = answer.moment(time)
        answer.reading(Kind.HEIGHT, block, at)  # checked as any other
        answer.reading(Kind.DIFFICULTY, difficulty, at)
        found.append(Adjustment(int(block), at, difficulty, answer.simulated))
    return sorted(found, key=lambda one: one.height)


def _columns(answer: Figures, row: Any) -> tuple[Decimal, Decimal, Decimal]:
    members = [answer.decimal(one) for one in answer.rows(row)[:_ROW]]
    if len(members) < _ROW:
        raise NoAnswer("mempool: time, height and difficulty were expected")
    return members[0], members[1], members[2]


async def block_time(party: Party, at_height: int) -> tuple[datetime, bool]:
    """Return when a block was made, and whether it is a simulated one.

    Raises:
        NoAnswer: there is no such block, or no time that can be believed.
    """
    name = (await party.get(f"/api/block-height/{at_height}")).text().strip()
    if len(name) != _HASH_CHARACTERS or not name.isascii() or not name.isalnum():
        raise NoAnswer("mempool: a block's hash was expected")
    answer = Figures(await party.get(f"/api/v1/block/{name}"))
    if answer.number("height") != at_height:
        raise NoAnswer("mempool: another block than the one asked for")
    at = answer.moment(answer.number("timestamp"))
    answer.reading(Kind.HEIGHT, Decimal(at_height), at)
    return at, answer.simulated
