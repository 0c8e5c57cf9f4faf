"""The calculation itself: from a request to figures, checked by a second way."""

from dataclasses import fields
from decimal import Decimal

import numpy as np

from calculator.calculations.basis import Basis, basis_of
from calculator.calculations.rounding import BTC_PLACES, PLACES, USD_PLACES, plain, rounded
from calculator.calculations.schemas import (
    Algorithm,
    Calculation,
    CalculationRequest,
    Converted,
    Figures,
    Period,
    Verification,
)
from calculator.domain.network import hashprice_btc_per_ths_day, implied_hashrate_ehs
from calculator.domain.profitability import (
    DAYS_PER_YEAR,
    Column,
    Profitability,
    Scenarios,
    net_share,
    profitability,
    share_btc_per_day,
)
from common.auth import Principal
from common.runtime import Runtime

AGREEMENT_PERCENT = 1.0
_MONTHS = 12
_THS_PER_PHS = 1_000


async def calculate(runtime: Runtime, caller: Principal, asked: CalculationRequest) -> Calculation:
    """Return what the machines asked about earn and cost; see `basis_of` for what it raises."""
    return rated(await basis_of(runtime, caller, asked), asked)


def rated(basis: Basis, asked: CalculationRequest) -> Calculation:
    """Return the result on a given basis."""
    row = scenario_of(basis)
    found = profitability(row)
    verification = verified(basis, row, found)
    difficulty, reward = Decimal(str(basis.number("difficulty"))), _reward(basis)
    hashprice = float(hashprice_btc_per_ths_day(difficulty, Decimal(str(reward)))) * _THS_PER_PHS
    return Calculation(
        **figures_of(found).model_dump(),
        id=None,
        model=basis.model,
        count=basis.count,
        hashprice_usd_per_ph_day=plain(hashprice * basis.number("btc_price_usd"), USD_PLACES),
        hashprice_btc_per_ph_day=plain(hashprice, BTC_PLACES),
        network_hashrate_ehs=plain(float(implied_hashrate_ehs(difficulty)), USD_PLACES),
        month=_period(found, DAYS_PER_YEAR / _MONTHS),
        year=_period(found, DAYS_PER_YEAR),
        converted=_converted(found, asked),
        verification=verification,
        inputs=dict(basis.inputs),
        warnings=warnings_of(basis, verification),
    )


def scenario_of(basis: Basis) -> Scenarios:
    """Return the one row of a calculation, for all its machines together."""
    count = basis.number("count")
    capex = basis.capex_usd

    def column(value: float) -> Column:
        return np.array([value])

    return Scenarios(
        hashrate_ths=column(basis.number("hashrate_ths") * count),
        power_w=column(basis.number("power_w") * count),
        electricity_usd_per_kwh=column(basis.number("electricity_usd_per_kwh")),
        btc_price_usd=column(basis.number("btc_price_usd")),
        difficulty=column(basis.number("difficulty")),
        reward_btc=column(_reward(basis)),
        pool_fee=column(basis.number("pool_fee_percent") / 100),
        uptime=column(basis.number("uptime_percent") / 100),
        stale=column(basis.number("stale_percent") / 100),
        other_opex_usd_per_day=column(basis.number("other_opex_usd_per_day") * count),
        capex_usd=column(np.nan if capex is None else capex * count),
    )


def figures_of(found: Profitability) -> Figures:
    """Return the figures of the first row as they leave."""
    return Figures.model_validate(
        {
            field.name: rounded(float(getattr(found, field.name)[0]), PLACES[field.name])
            for field in fields(found)
        }
    )


def verified(basis: Basis, row: Scenarios, found: Profitability) -> Verification:
    """Compare the income with that of the second algorithm, from the other providers' figures.

    Both pay the same reward, so that they differ as the network's hashrates do.
    """
    price = basis.number("btc_price_usd")
    implied = float(implied_hashrate_ehs(Decimal(str(basis.number("difficulty")))))
    primary = Algorithm(
        algorithm="difficulty",
        btc_per_day=plain(float(found.btc_per_day[0]), BTC_PLACES),
        revenue_usd_per_day=plain(float(found.revenue_usd_per_day[0]), USD_PLACES),
        network_hashrate_ehs=plain(implied, USD_PLACES),
        btc_price_usd=price,
        network_source=basis.inputs["difficulty"].source,
        price_source=basis.inputs["btc_price_usd"].source,
    )
    second = _second_network(basis, implied)
    if second is None:
        return Verification(
            primary=primary,
            secondary=None,
            difference_percent=None,
            price_difference_percent=None,
            agrees=None,
            reason="No second source says what the network's hashrate is.",
        )
    hashrate, network_source = second
    second_price, price_source = _second_price(basis)
    btc = _second_btc(row, hashrate)
    difference = abs(implied / hashrate - 1) * 100
    supposed = "The difficulty was given: the arithmetic is checked, not the source."
    return Verification(
        primary=primary,
        secondary=Algorithm(
            algorithm="network_share",
            btc_per_day=plain(btc, BTC_PLACES),
            revenue_usd_per_day=plain(btc * second_price, USD_PLACES),
            network_hashrate_ehs=plain(hashrate, USD_PLACES),
            btc_price_usd=second_price,
            network_source=network_source,
            price_source=price_source,
        ),
        difference_percent=plain(difference, USD_PLACES),
        price_difference_percent=plain(abs(second_price / price - 1) * 100, USD_PLACES),
        agrees=difference <= AGREEMENT_PERCENT,
        reason=supposed if network_source == "given" else None,
    )


def _second_network(basis: Basis, implied_ehs: float) -> tuple[float, str] | None:
    """Return the network's hashrate by the other pair of providers, and who says so.

    Where the difficulty is the caller's own, the hashrate that it implies is used: what the
    network really has would only show that the question is a supposition.
    """
    if basis.inputs["difficulty"].source == "given":
        return implied_ehs, "given"
    second = None if basis.quoted is None else basis.quoted.market.second_network_hashrate_ehs
    return None if second is None else (float(second.value), second.source)


def _second_price(basis: Basis) -> tuple[float, str]:
    """Return the price by the other pair; the first one where it is given, or the only one."""
    first = basis.inputs["btc_price_usd"]
    second = None if basis.quoted is None else basis.quoted.market.second_price_usd
    if first.source == "given" or second is None:
        return basis.number("btc_price_usd"), first.source
    return float(second.value), second.source


def warnings_of(basis: Basis, verification: Verification) -> list[str]:
    """Return what a reader of the result ought to know."""
    warnings = basis.warnings
    if verification.agrees is False:
        warnings.append(
            f"The two algorithms differ by {verification.difference_percent:.2f} %: the network's "
            "hashrate by its difficulty is not what the second source says."
        )
    return warnings


def _second_btc(row: Scenarios, hashrate_ehs: float) -> float:
    gross = share_btc_per_day(row.hashrate_ths, np.array([hashrate_ehs]), row.reward_btc)
    return float((gross * net_share(row.pool_fee, row.stale, row.uptime))[0])


def _reward(basis: Basis) -> float:
    return basis.number("subsidy_btc") + basis.number("fees_btc_per_block")


def _period(found: Profitability, days: float) -> Period:
    def over(column: Column, places: int = USD_PLACES) -> float:
        return plain(float(column[0]) * days, places)

    return Period(
        days=plain(days, USD_PLACES),
        btc=over(found.btc_per_day, BTC_PLACES),
        revenue_usd=over(found.revenue_usd_per_day),
        energy_kwh=over(found.energy_kwh_per_day),
        cost_usd=over(found.cost_usd_per_day),
        profit_usd=over(found.profit_usd_per_day),
    )


def _converted(found: Profitability, asked: CalculationRequest) -> Converted | None:
    if asked.currency is None:
        return None
    rate = 1.0 if asked.currency == "USD" else asked.usd_per_currency or 1.0

    def in_currency(column: Column) -> float:
        return plain(float(column[0]) / rate, USD_PLACES)

    return Converted(
        currency=asked.currency,
        usd_per_currency=rate,
        revenue_per_day=in_currency(found.revenue_usd_per_day),
        cost_per_day=in_currency(found.cost_usd_per_day),
        profit_per_day=in_currency(found.profit_usd_per_day),
    )
