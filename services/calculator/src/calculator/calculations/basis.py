"""What a calculation starts from: each figure with where it came from and how old it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from calculator.calculations.limits import LIMITS, MARKET
from calculator.calculations.nameplates import Nameplate, Wall, nameplate
from calculator.calculations.schemas import CalculationRequest, Input
from calculator.domain.market import Market, Valued
from calculator.quotes.current import current_market
from calculator.sources.parties import parties_of
from calculator.tariffs.pricing import (
    ENERGY_ONLY,
    FIELDS,
    NOT_ALLOWED,
    Answer,
    Field,
    Price,
    Unpriced,
    Wanted,
    priced,
)
from common.auth import Principal
from common.clock import now
from common.errors import Invalid
from common.runtime import Runtime

_ELECTRICITY = ("electricity_usd_per_kwh", *FIELDS)


class MachineUnclear(Invalid):
    title: ClassVar[str] = "The machine is not clear"


class ElectricityUnclear(Invalid):
    title: ClassVar[str] = "The price of electricity is not clear"


class RateUnknown(Invalid):
    title: ClassVar[str] = "The tariff is not known"


class RateVaries(Invalid):
    title: ClassVar[str] = "The tariff has no one price"


class CurrencyUnknown(Invalid):
    title: ClassVar[str] = "There is no reference rate for the currency"


_UNPRICED = {"rate_unknown": RateUnknown, "rate_varies": RateVaries}


@dataclass(frozen=True, slots=True)
class Quoted:
    """The market that was looked at for a calculation, and when."""

    market: Market
    at: datetime

    def inputs(self) -> dict[str, Input]:
        """Return the four figures that a calculation takes from the market."""
        market = self.market
        quoted = (
            market.price_usd,
            market.difficulty,
            market.subsidy_btc,
            market.fees_btc_per_block,
        )
        return {name: _quoted(value, self.at) for name, value in zip(MARKET, quoted, strict=True)}


@dataclass(frozen=True, slots=True)
class Basis:
    """Everything that one calculation starts from."""

    model: str | None
    inputs: Mapping[str, Input]
    quoted: Quoted | None
    """None where the request left nothing for the market to say."""
    price: Price | None
    """The tariff that electricity is paid by, if it is."""

    @property
    def warnings(self) -> list[str]:
        """What a reader of the result ought to know of the figures it starts from."""
        market = [] if self.quoted is None else list(self.quoted.market.warnings)
        return market if self.price is None else [*market, ENERGY_ONLY]

    def number(self, name: str) -> float:
        """Return an input that is always a number."""
        value = self.inputs[name].value
        assert isinstance(value, int | float)
        return float(value)

    @property
    def capex_usd(self) -> float | None:
        """What one machine costs, if that is known."""
        value = self.inputs["capex_usd"].value
        return None if value is None else float(value)

    @property
    def count(self) -> int:
        """How many machines there are."""
        return round(self.number("count"))


async def look(runtime: Runtime) -> Quoted:
    """Return the market as it is known now.

    Raises:
        MarketUnknown: nothing is known at all.
    """
    return Quoted(await current_market(runtime), parties_of(runtime).now())


async def basis_of(
    runtime: Runtime,
    caller: Principal,
    asked: CalculationRequest,
    derived: Mapping[str, Input] = MappingProxyType({}),
) -> Basis:
    """Return what the request says, filled up from the model, the market and the defaults.

    `derived`: figures that follow from something else that was given. No connection is held over
    what this awaits: the look at the market needs one itself.

    Raises:
        MachineUnclear: neither a model nor hashrate and power.
        MinerModelNotFound: there is no such model.
        ElectricityUnclear: not exactly one of price, tariff and site.
        RateUnknown: a tariff or a site's tariff is asked for, and there is none to be used.
        RateVaries: the tariff depends on more than the time.
        CurrencyUnknown: another currency than USD, also the tariff's, without a rate.
        MarketUnknown: a figure of the market is needed and none is known.
    """
    require_clear(asked)
    given = dict(derived) | {
        name: stated(value, "given")
        for name in LIMITS
        if (value := getattr(asked, name)) is not None
    }
    price = await _tariff(runtime, Wall.of(caller), asked)
    quoted = await look(runtime) if open_figures(given) else None
    plate = None if asked.model is None else await nameplate(runtime, caller, asked.model)
    filled = dict(quoted.inputs()) if quoted is not None else {}
    if plate is not None:
        filled |= _printed(plate)
    filled |= given
    inputs = {name: filled.get(name) or _assumed(name) for name in LIMITS}
    if price is not None:
        inputs |= tariff_inputs(price, _usd_per(price.currency, asked), now())
    return Basis(None if plate is None else plate.name, inputs, quoted, price)


def open_figures(given: Mapping[str, object]) -> bool:
    """Return whether a calculation needs the market.

    Where price, difficulty and subsidy are given it does not: the question is closed in itself,
    and blocks have no fees unless they are given as well.
    """
    return any(name not in given for name in MARKET if LIMITS[name].default is None)


def require_clear(asked: CalculationRequest) -> None:
    """Refuse what cannot be calculated as it is written; see `basis_of`."""
    if asked.model is None and (asked.hashrate_ths is None or asked.power_w is None):
        raise MachineUnclear("Give a model, or hashrate_ths and power_w.", field="model")
    given = [name for name in _ELECTRICITY if getattr(asked, name) is not None]
    if len(given) != 1:
        raise ElectricityUnclear(
            f"Give exactly one of {', '.join(_ELECTRICITY)}, not {len(given)}.",
            field=given[1] if given else _ELECTRICITY[0],
        )
    foreign = asked.currency not in (None, "USD")
    if foreign and asked.usd_per_currency is None:
        raise CurrencyUnknown(
            f"There is no reference rate for {asked.currency} here yet. Give usd_per_currency, or "
            "leave the currency out for USD.",
            field="currency",
        )


async def _tariff(runtime: Runtime, wall: Wall, asked: CalculationRequest) -> Price | None:
    """Return the price of the tariff that is asked for, if one is."""
    if asked.electricity_usd_per_kwh is not None:
        return None
    named: Field = "rate_id" if asked.rate_id is not None else "site_id"
    wanted = Wanted(named, str(getattr(asked, named)))
    answer = (await find_prices(runtime, wall, [wanted]))[wanted]
    if isinstance(answer, Unpriced):
        raise _UNPRICED[answer.code](answer.detail, field=named)
    if _usd_per(answer.currency, asked) is None:
        raise CurrencyUnknown(
            f"The tariff is in {answer.currency}. Give currency {answer.currency} with "
            "usd_per_currency, or electricity_usd_per_kwh instead.",
            field="usd_per_currency",
        )
    return answer


async def find_prices(
    runtime: Runtime, wall: Wall, wanted: Collection[Wanted]
) -> dict[Wanted, Answer]:
    """Return what tariffs cost, in a transaction of its own; see `pricing.priced`."""
    if not wall.tariffs:
        return dict.fromkeys(wanted, NOT_ALLOWED)
    async with runtime.tenant_session(wall.organisation_id, wall.client_id) as session:
        return await priced(session, wanted)


def tariff_inputs(price: Price, usd_per_currency: float | None, at: datetime) -> dict[str, Input]:
    """Return electricity as a tariff prices it, and which tariff that was."""
    mean = Input(
        value=price.per_kwh * (usd_per_currency or 1.0),
        source="tariff_mean",
        age_s=round(price.age_s(at), 1),
        stale=price.is_stale(at),
        simulated=False,
    )
    return {
        "electricity_usd_per_kwh": mean,
        "rate_id": stated(price.rate_id, "tariff"),
        "rate_name": stated(price.name, "tariff"),
        "rate_version": stated(price.rate_version, "tariff"),
    }


def _usd_per(currency: str, asked: CalculationRequest) -> float | None:
    if currency == "USD":
        return 1.0
    return asked.usd_per_currency if asked.currency == currency else None


def stated(value: float | str | None, source: str) -> Input:
    """Return a figure that has no age."""
    return Input(value=value, source=source, age_s=None, stale=False, simulated=False)


def _printed(plate: Nameplate) -> dict[str, Input]:
    printed = {
        "hashrate_ths": stated(plate.hashrate_ths, "model"),
        "power_w": stated(plate.power_w, "model"),
    }
    if plate.reference_price_usd is not None:
        printed["capex_usd"] = stated(plate.reference_price_usd, "model")
    return printed


def _assumed(name: str) -> Input:
    default = LIMITS[name].default
    return stated(default, "unknown" if default is None else "default")


def _quoted(quote: Valued, now: datetime) -> Input:
    return Input(
        value=float(quote.value),
        source=quote.source,
        age_s=round(quote.age_s(now), 1),
        stale=quote.stale,
        simulated=quote.simulated,
    )
