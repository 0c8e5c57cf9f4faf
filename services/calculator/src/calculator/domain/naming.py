"""What people call a miner model: with or without its maker, its bin, and the spaces."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Cooling = Literal["air", "hydro", "immersion"]


@dataclass(frozen=True, slots=True)
class Maker:
    """A manufacturer and the brand on its machines."""

    name: str
    brand: str


BITMAIN = Maker("Bitmain", "Antminer")
MICROBT = Maker("MicroBT", "WhatsMiner")
CANAAN = Maker("Canaan", "Avalon")


def fold(name: str) -> str:
    """Return a name without regard to case and spacing: equal names are one name."""
    return " ".join(name.casefold().split())


def bin_name(maker: Maker, series: str, hashrate_ths: str, power_w: int | None = None) -> str:
    """Return the full name of one hashrate bin, e.g. `Antminer S19j Pro 104T`."""
    rating = f" {power_w}W" if power_w is not None else ""
    return f"{maker.brand} {series} {hashrate_ths}T{rating}"


def bin_aliases(maker: Maker, series: str, hashrate_ths: str, power_w: int | None) -> list[str]:
    """Return the other names of one bin."""
    rating = f" {power_w}W" if power_w is not None else ""
    spelled = [
        f"{written} {text}{rating}"
        for written in _spellings(series)
        for text in (f"{hashrate_ths}T", f"({hashrate_ths}T)", f"{hashrate_ths}TH", hashrate_ths)
    ]
    full = bin_name(maker, series, hashrate_ths, power_w)
    return _distinct([*spelled, *(_branded(maker, name) for name in spelled)], full)


def series_aliases(maker: Maker, series: str) -> list[str]:
    """Return the names of a series without a bin: they mean the bin it is documented by."""
    plain = _spellings(series)
    branded = [_branded(maker, name) for name in plain]
    coded = [name.replace(" ", mark) for name in plain for mark in ("_", "-", "")]
    return _distinct(
        [*plain, *branded, *(f"{maker.name} {name}" for name in branded), *map(str.upper, coded)],
        "",
    )


def _branded(maker: Maker, name: str) -> str:
    return name if name.startswith(maker.brand) else f"{maker.brand} {name}"


def _spellings(series: str) -> list[str]:
    written = [series]
    if "Hyd" in series:
        written.append(series.replace("Hyd", "Hydro"))
    if series.startswith("A1"):  # Canaan writes A1366 on the machine and AvalonMiner 1366 elsewhere
        written += [f"Avalon {series[1:]}", f"AvalonMiner {series[1:]}"]
    return written


def _distinct(names: Iterable[str], taken: str) -> list[str]:
    seen = {fold(taken)}
    kept: list[str] = []
    for name in names:
        if fold(name) not in seen:
            seen.add(fold(name))
            kept.append(name)
    return kept
