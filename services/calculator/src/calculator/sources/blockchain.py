"""Blockchain.info: the first difficulty, and with the same answer height, hashrate and fees."""

from calculator.domain.readings import Kind, Reading
from calculator.sources.figures import Figures
from common.party import Party

_GIGAHASHES_PER_EXAHASH = 10**9
_SAT = 10**8


async def network(party: Party) -> list[Reading]:
    """Return difficulty, height, the last day's hashrate, and its average fees per block.

    `hash_rate` is in GH/s, `total_fees_btc` in satoshi whatever its name says. The difficulty at
    `/q/getdifficulty` is the same figure with fewer digits.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    answer = Figures(await party.get("/stats", format="json"))
    at = answer.moment(answer.number("timestamp") / 1000)
    found = [
        answer.reading(Kind.DIFFICULTY, answer.number("difficulty"), at),
        answer.reading(Kind.HEIGHT, answer.number("n_blocks_total"), at),
        answer.reading(Kind.HASHRATE_EHS, answer.number("hash_rate") / _GIGAHASHES_PER_EXAHASH, at),
    ]
    blocks = answer.number("n_blocks_mined")
    if blocks > 0:
        fees = answer.number("total_fees_btc") / _SAT / blocks
        found.append(answer.reading(Kind.FEES_BTC_PER_BLOCK, fees, at))
    return found
