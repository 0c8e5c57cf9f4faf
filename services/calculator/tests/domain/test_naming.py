import pytest

from calculator.domain.naming import BITMAIN, CANAAN, bin_aliases, bin_name, fold, series_aliases


@pytest.mark.parametrize("written", ["S19j  Pro ", "s19J PRO", "\tS19j Pro"])
def test_case_and_spacing_do_not_matter(written: str) -> None:
    assert fold(written) == "s19j pro"


def test_a_bin_has_its_rating_in_every_name() -> None:
    assert bin_name(BITMAIN, "S19j Pro", "104") == "Antminer S19j Pro 104T"
    aliases = bin_aliases(BITMAIN, "S19j Pro", "104", None)
    assert {"S19j Pro 104T", "Antminer S19j Pro (104T)"} < set(aliases)
    assert all("104" in alias for alias in aliases)


def test_a_series_is_found_with_and_without_its_maker() -> None:
    aliases = series_aliases(BITMAIN, "S19j Pro")
    assert {"S19j Pro", "Antminer S19j Pro", "Bitmain Antminer S19j Pro", "S19J_PRO"} < set(aliases)
    assert "Avalon 1366" in series_aliases(CANAAN, "A1366")
    assert "S21 Hydro" in series_aliases(BITMAIN, "S21 Hyd")
