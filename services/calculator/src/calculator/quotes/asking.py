"""Asks the parties: those of the first pair and those behind them at once, to check each other."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from calculator.domain.assembly import NETWORK_FRESH_S, PRICE_FRESH_S
from calculator.domain.readings import Kind, Reading
from calculator.sources import ankr, blockchain, coingecko, mempool
from calculator.sources.parties import Parties
from common.party import NoAnswer, Party

Question = tuple[str, Callable[[Party], Awaitable[list[Reading]]]]


@dataclass(frozen=True, slots=True)
class Part:
    """What is asked together, and how long an answer is good for."""

    name: str
    kinds: tuple[Kind, ...]
    """What an answer must hold to be one."""
    fresh_s: int
    questions: tuple[Question, ...]


PRICE = Part(
    "price",
    (Kind.PRICE_USD,),
    PRICE_FRESH_S,
    (("coingecko", coingecko.price), ("mempool", mempool.price)),
)
NETWORK = Part(
    "network",
    (Kind.DIFFICULTY, Kind.HEIGHT),
    NETWORK_FRESH_S,
    (
        ("blockchain", blockchain.network),
        ("mempool", mempool.height),
        ("mempool", mempool.hashrate),
        ("mempool", mempool.fees),
        ("ankr", ankr.network),
        ("ankr", ankr.hashrate),
    ),
)
PARTS = (PRICE, NETWORK)
SOURCES = frozenset(source for part in PARTS for source, _ in part.questions)


async def ask(parties: Parties, part: Part) -> list[Reading]:
    """Return what the parties say now; whoever does not answer is left out."""
    answers = await asyncio.gather(
        *(
            _attempt(parties.by_name[source], question)
            for source, question in part.questions
            if source in parties.by_name
        )
    )
    return [reading for answer in answers for reading in answer]


async def _attempt(
    party: Party, question: Callable[[Party], Awaitable[list[Reading]]]
) -> list[Reading]:
    try:
        return await party.attempt(question)
    except NoAnswer:
        return []
