"""The registry of balancing-mechanism units: generated names, nothing of any real station."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from string import ascii_uppercase
from typing import Any

WIND_UNITS = 200
NAMELESS = (5,)  # of seven farms
FIRST = [
    "Achna",
    "Balla",
    "Corra",
    "Drumma",
    "Elshin",
    "Fenna",
    "Garva",
    "Hallo",
    "Inchra",
    "Jarla",
    "Kirra",
    "Lanna",
    "Morva",
    "Nethra",
    "Orma",
    "Pella",
    "Quarra",
    "Rosk",
    "Strava",
    "Torra",
    "Ulva",
    "Varra",
    "Wester",
    "Yarra",
]
LAST = [
    "brae",
    "cairn",
    "dale",
    "fell",
    "glen",
    "heugh",
    "knowe",
    "law",
    "moss",
    "rigg",
    "shank",
    "tarn",
]
SOLO_NAMES = (
    "{farm} Wind Farm Unit {n}",
    "{farm} WF {n}",
    "{farm} Windfarm BMU {n}",
    "{farm} Phase {n}",
    "{farm} Module {n}",
)
OTHERS = (  # fuel type, prefix, how many, megawatts
    ("CCGT", "T_", 24, 780.0),
    ("OCGT", "T_", 6, 60.0),
    ("PS", "T_", 6, 240.0),
    ("BIOMASS", "T_", 4, 520.0),
    ("NPSHYD", "E_", 6, 38.0),
    ("NUCLEAR", "T_", 4, 610.0),
    (None, "2__", 14, 35.0),
    (None, "V__", 6, 12.0),
)


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit; `bid_price` is what it asks for turning down, negative when it must be paid."""

    national_id: str
    elexon_id: str | None
    name: str | None
    lead_party: str
    lead_party_id: str
    fuel: str | None
    capacity_mw: float
    bid_price: float
    offer_price: float
    offshore: bool = False
    north: bool = False
    loss_factor: float = 0.0

    @property
    def kind(self) -> str:
        """Return T, E, 2 or V, the first sign of the unit's id."""
        return (self.elexon_id or "T")[0]


@dataclass(frozen=True, slots=True)
class Registry:
    """All units; `wind` are those that a stack may name, in a fixed order."""

    wind: tuple[Unit, ...]
    others: tuple[Unit, ...]
    unnamed: tuple[Unit, ...]  # wind known by its National Grid id alone

    def rows(self) -> list[dict[str, Any]]:
        """Return the registry as the provider tells it, with one unit told twice."""
        told = [_row(unit) for unit in (*self.wind, *self.others, *self.unnamed)]
        again = dict(_row(self.wind[3]))
        again["eic"] = "48W-SIMULATED-2A"  # an alias, otherwise the same unit
        return [*told, again]


def registry(seed: int) -> Registry:
    """Generate the registry that belongs to a seed."""
    rng = random.Random(f"units {seed}")
    farms = [f"{first}{last}" for first in FIRST for last in LAST]
    rng.shuffle(farms)
    codes = _codes(rng)
    wind: list[Unit] = []
    for number in count():
        room = WIND_UNITS - len(wind)
        if room <= 0:
            break
        wind.extend(_farm(rng, farms[number], next(codes), number)[:room])
    others = [
        _other(rng, fuel, prefix, megawatts, next(codes))
        for fuel, prefix, how_many, megawatts in OTHERS
        for _ in range(how_many)
    ]
    unnamed = [
        replace(unit, elexon_id=None, national_id=f"{next(codes)}-9") for unit in wind[40:200:20]
    ]
    return Registry(tuple(wind), tuple(others), tuple(unnamed))


def _often(rng: random.Random, share: float) -> bool:
    return rng.random() < share


def _codes(rng: random.Random) -> Iterator[str]:
    """Yield five-letter codes that begin with SM, as in simulated, each once."""
    used: set[str] = set()
    while True:
        code = "SM" + "".join(rng.choices(ascii_uppercase, k=3))
        if code not in used:
            used.add(code)
            yield code


def _farm(rng: random.Random, farm: str, code: str, number: int) -> list[Unit]:
    offshore = number % 6 == 0
    units = rng.choice((3, 4, 4, 6)) if offshore else rng.choice((1, 1, 1, 2, 2, 3))
    each_mw = rng.uniform(120, 300) if offshore else rng.uniform(18, 110)
    prefix = "T_" if offshore else rng.choice(("T_", "T_", "T_", "T_", "E_", "E_", "2__"))
    style = rng.choice(SOLO_NAMES)
    party, party_id = _party(rng, farm, code, number)
    price = round(rng.uniform(-115, -22), 2) if _often(rng, 0.92) else round(rng.uniform(1, 9), 2)
    nameless = not offshore and number % 7 in NAMELESS  # some registrations hold nothing but ids
    north = offshore or _often(rng, 0.7)
    return [
        Unit(
            national_id=f"{code}-{n}",
            elexon_id=f"{prefix}{code}-{n}",
            name=None if nameless else _name(rng, style, farm, f"{prefix}{code}-{n}", n),
            lead_party=party,
            lead_party_id=party_id,
            fuel="WIND",
            capacity_mw=0.0 if nameless else round(each_mw * rng.uniform(0.9, 1.1), 3),
            bid_price=price,
            offer_price=round(abs(price) + rng.uniform(20, 90), 2),
            offshore=offshore,
            north=north,
            loss_factor=rng.uniform(-0.03, 0.02),
        )
        for n in range(1, units + 1)
    ]


def _name(rng: random.Random, style: str, farm: str, elexon_id: str, n: int) -> str:
    return elexon_id if _often(rng, 0.12) else style.format(farm=farm, n=n)


def _party(rng: random.Random, farm: str, code: str, number: int) -> tuple[str, str]:
    """Return who trades for a farm: mostly its own company, else one of six that trade for many."""
    if _often(rng, 0.2):
        trader = number % 6
        return f"Trading House {ascii_uppercase[trader]} (simulated)", f"SMTRADE{trader}"
    return f"{farm} Wind Farm Limited (simulated)", f"{code}LTD"


def _other(rng: random.Random, fuel: str | None, prefix: str, megawatts: float, code: str) -> Unit:
    bid = round(rng.uniform(15, 75), 2)
    return Unit(
        national_id=f"{code}-1",
        elexon_id=f"{prefix}{code}-1",
        name=f"{code} {fuel or 'Storage'} simulated",
        lead_party=f"{code} Power Limited (simulated)",
        lead_party_id=f"{code}LTD",
        fuel=fuel,
        capacity_mw=round(megawatts * rng.uniform(0.8, 1.2), 3),
        bid_price=bid,
        offer_price=round(bid + rng.uniform(40, 120), 2),
        loss_factor=rng.uniform(-0.03, 0.02),
    )


def _row(unit: Unit) -> dict[str, Any]:
    return {
        "nationalGridBmUnit": unit.national_id,
        "elexonBmUnit": unit.elexon_id,
        "eic": None if unit.kind != "T" else f"48W-SIMULATED-{sum(unit.national_id.encode()) % 10}",
        "fuelType": unit.fuel,
        "leadPartyName": unit.lead_party,
        "bmUnitType": unit.kind,
        "fpnFlag": True,
        "bmUnitName": unit.name,
        "leadPartyId": unit.lead_party_id,
        "demandCapacity": "0.000",
        "generationCapacity": f"{unit.capacity_mw:.3f}",
        "productionOrConsumptionFlag": "P" if unit.fuel else "C",
        "transmissionLossFactor": f"{unit.loss_factor:.7f}",
        "workingDayCreditAssessmentImportCapability": "0.000",
        "nonWorkingDayCreditAssessmentImportCapability": "0.000",
        "workingDayCreditAssessmentExportCapability": f"{unit.capacity_mw * 0.4:.3f}",
        "nonWorkingDayCreditAssessmentExportCapability": f"{unit.capacity_mw * 0.4:.3f}",
        "creditQualifyingStatus": True,
        "demandInProductionFlag": False,
        "gspGroupId": "_P" if unit.kind == "E" else None,
        "gspGroupName": "North Scotland" if unit.kind == "E" else None,
        "interconnectorId": None,
    }
