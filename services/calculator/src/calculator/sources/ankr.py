"""Ankr: a Bitcoin node behind JSON-RPC, asked for the network when others do not answer."""

from calculator.domain.readings import Kind, Reading
from calculator.sources.figures import Figures
from common.party import Party

_EXA = 10**18
_EPOCH_BLOCKS = 2016


async def network(party: Party) -> list[Reading]:
    """Return difficulty and height, as the node has them; the height is of its block's time.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.call("getblockchaininfo"), "result")
    at = answer.moment(answer.number("time"))
    return [
        answer.reading(Kind.HEIGHT, answer.number("blocks"), at),
        answer.reading(Kind.DIFFICULTY, answer.number("difficulty")),
    ]


async def hashrate(party: Party) -> list[Reading]:
    """Return the hashrate over the last 2,016 blocks.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.call("getnetworkhashps", _EPOCH_BLOCKS), "result")
    return [answer.reading(Kind.HASHRATE_EHS, answer.decimal(answer.content) / _EXA)]
