"""Curtailed wind past the service: the simulated Elexon's own stacks, and what they are worth."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

import httpx
from tests.running import PATIENCE_S, Json, System

DIFFICULTY = Fraction(Decimal("86388558925171.011713"))
"""Of block 840,000's epoch, which is shipped: the days after 2024-04-20 are certain."""
_SUBSIDY_BTC = Fraction(25, 8)
MODELS = {"S19J_PRO": (100, 3050), "M20S": (68, 3360), "S9": (Fraction(27, 2), 1323)}
"""TH/s and watts."""
_LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Ingested:
    """A job that has ended, and what it said on its way."""

    job: Json
    told: list[tuple[int, str]]

    @property
    def result(self) -> Json:
        return self.job["result"]


def carried_out(
    system: System, path: str, order: Json, *, meanwhile: Callable[[Json], None] = lambda _: None
) -> Ingested:
    """Order a job and follow it to its end; `meanwhile` hears of it while it runs."""
    accepted = system.patiently("POST", path, json=order)
    told: list[tuple[int, str]] = []
    ends = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < ends, f"not over within {PATIENCE_S:.0f} s: {told[-3:]}"
        time.sleep(_LOOK_EVERY_S)
        job = system.patiently("GET", accepted["status_url"])
        if job["state"] in {"done", "failed"}:
            break
        if not told or told[-1] != (job["percent"], job["step"]):
            told.append((job["percent"], job["step"]))
            meanwhile(job)
    assert job["state"] == "done", job["error"]
    return Ingested(job, [*told, (job["percent"], job["step"])])


def control(system: System, path: str, order: Json | None = None) -> None:
    """Tell the simulated Elexon what to do from now on."""
    url = f"{system.stack.installation.url('elexon')}/control/{path}"
    answer = httpx.post(url, json=order or {}, trust_env=False)
    assert answer.status_code == 200, answer.text


def serve_run(system: System, run: str, *days: date) -> None:
    """Let the simulated Elexon issue the figures of a settlement run."""
    for day in days:
        control(system, "run", {"run": run, "day": str(day)})


def accepted_bids(system: System, day: date) -> list[Json]:
    """Ask the simulated Elexon itself: accepted bids of wind units with the SO flag."""
    base = f"{system.stack.installation.url('elexon')}/bmrs/api/v1"
    with httpx.Client(base_url=base, trust_env=False) as elexon:
        units = elexon.get("/reference/bmunits/all").json()
        wind = {one["elexonBmUnit"] for one in units if one["fuelType"] == "WIND"} - {None}
        stacks = [
            elexon.get(f"/balancing/settlement/stack/all/bid/{day}/{period}").json()["data"]
            for period in range(1, 49)
        ]
    return [
        row
        for stack in stacks
        for row in stack
        if row["id"] in wind
        and row["soFlag"]
        and row["volume"] < 0
        and row["originalPrice"] is not None
    ]


def energy_of(bids: Iterable[Json]) -> Decimal:
    """Return MWh, positive."""
    return sum((-Decimal(str(row["volume"])) for row in bids), Decimal(0))


def payment_of(bids: Iterable[Json]) -> Decimal:
    """Return GBP, positive to the farm, which bids a negative price to be turned down."""
    products = (Decimal(str(row["volume"])) * Decimal(str(row["originalPrice"])) for row in bids)
    return sum(products, Decimal(0))


def bitcoin_of(mwh: Decimal, model: str) -> Fraction:
    """Return by hand what energy mines: joules, by hashes per joule, by blocks, by the subsidy."""
    hashrate_ths, power_w = MODELS[model]
    hashes = Fraction(mwh) * 3_600_000_000 * Fraction(hashrate_ths) * 10**12 / Fraction(power_w)
    return hashes / (DIFFICULTY * 2**32) * _SUBSIDY_BTC
