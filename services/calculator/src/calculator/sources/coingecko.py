"""CoinGecko: the first price. Without a key it answers a handful of questions a minute."""

from calculator.domain.readings import Kind, Reading
from calculator.sources.figures import Figures
from common.party import Party


async def price(party: Party) -> list[Reading]:
    """Return bitcoin's price in US dollars.

    Raises:
        NoAnswer: there is none that can be believed.
    """
    query = {"ids": "bitcoin", "vs_currencies": "usd", "include_last_updated_at": "true"}
    answer = Figures(await party.get("/api/v3/simple/price", **query))
    at = answer.moment(answer.number("bitcoin", "last_updated_at"))
    return [answer.reading(Kind.PRICE_USD, answer.number("bitcoin", "usd"), at)]
