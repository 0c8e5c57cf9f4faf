from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PySAM import Utilityrate5

MONTHS = 12
EVERYWHERE = [[1] * 24] * MONTHS
DEFAULTS: Mapping[str, object] = {
    "en_electricity_rates": 1,
    "rate_escalation": [0.0],
    "ur_metering_option": 2,
    "ur_nm_yearend_sell_rate": 0,
    "ur_sell_eq_buy": 0,
    "ur_en_ts_sell_rate": 0,
    "ur_ts_sell_rate": [0.0],
    "ur_en_ts_buy_rate": 0,
    "ur_ts_buy_rate": [0.0],
    "ur_monthly_fixed_charge": 0.0,
    "ur_monthly_min_charge": 0.0,
    "ur_annual_min_charge": 0.0,
    "ur_ec_tou_mat": [[1, 1, 1e38, 0, 0.0, 0.0]],
    "ur_ec_sched_weekday": EVERYWHERE,
    "ur_ec_sched_weekend": EVERYWHERE,
    "ur_dc_enable": 1,
    "ur_dc_flat_mat": [[month, 1, 1e38, 0.0] for month in range(MONTHS)],
    "ur_dc_tou_mat": [[1, 1, 1e38, 0.0]],
    "ur_dc_sched_weekday": EVERYWHERE,
    "ur_dc_sched_weekend": EVERYWHERE,
    "ur_enable_billing_demand": 0,
    "ur_billing_demand_minimum": 0,
    "ur_yearzero_usage_peaks": [0.0] * MONTHS,
}


def _monthly_bills(rate: Mapping[str, object], load_kw: NDArray[np.float64]) -> list[float]:
    """Return NREL's bills of a year of 365 days that begins on a Monday.

    Its results belong to the model, which therefore must outlive the reading of them.
    """
    sam: Any = Utilityrate5.new()  # its stub gives `assign` no self
    life = {"analysis_period": 1, "inflation_rate": 0, "system_use_lifetime_output": 0}
    sam.Lifetime.assign(life)
    sam.SystemOutput.assign({"gen": [0.0] * len(load_kw), "degradation": [0.0]})
    sam.Load.assign({"load": load_kw.tolist()})
    sam.ElectricityRates.assign({**DEFAULTS, **rate})
    sam.execute(0)
    return list(sam.Outputs.utility_bill_wo_sys_ym[1])


@pytest.fixture
def referee() -> Callable[[Mapping[str, object], NDArray[np.float64]], list[float]]:
    """Utilityrate5, by its own names of a rate's fields."""
    return _monthly_bills
