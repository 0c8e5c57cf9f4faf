from decimal import Decimal

import pytest

from calculator.domain.naming import fold
from calculator.miner_models.catalogue import CatalogueModel, catalogue


def find(name: str) -> CatalogueModel:
    [model] = [
        model
        for model in catalogue()
        if fold(name) in {fold(one) for one in (model.name, *model.aliases)}
    ]
    return model


def test_there_are_47_documented_bins_and_9_of_the_originals() -> None:
    assert len(catalogue()) == 47 + 9


def test_no_name_means_two_models() -> None:
    names = [
        name
        for model in catalogue()
        for name in {fold(one) for one in (model.name, *model.aliases)}
    ]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "hashrate_ths", "power_w"),
    [
        ("S19 Pro", "110", "3250"),
        ("Antminer S19 Pro", "110", "3250"),
        ("S19j Pro 104T", "104", "3068"),
        ("Antminer S19j Pro", "100", "3050"),
        ("S19J_PRO", "100", "3050"),
        ("S9", "13.5", "1323"),
        ("M20S", "68", "3360"),
        ("S21", "200", "3500"),
        ("Antminer S21 200T 3550W", "200", "3550"),
        ("WhatsMiner M30S++", "112", "3472"),
        ("M53S 226T", "226", "6554"),
        ("Avalon 1366", "130", "3250"),
        ("A1366 100T", "100", "3420"),
        ("Avalon Mini 3", "37.5", "800"),
    ],
)
def test_what_people_write_is_found(name: str, hashrate_ths: str, power_w: str) -> None:
    model = find(name)
    assert (model.hashrate_ths, model.power_w) == (Decimal(hashrate_ths), Decimal(power_w))
