"""A cost report as a table: one row a day or month, and the sum."""

from collections.abc import Sequence
from typing import Any

from energy.currencies.reading import Conversion
from energy.reports.gathering import AMOUNTS, Report

COLUMNS = (
    "period", "kwh", "unrated_kwh", "th_h", *AMOUNTS, "currency", "avg_rate_per_kwh",
    "coverage_percent", "kg_co2", "converted_from", "reference_rate", "rate_date", "rate_source",
)  # fmt: skip


def rows_of(report: Report) -> list[list[Any]]:
    """Return the rows of a report with their sum, then what they rest on."""
    rows: list[list[Any]] = [
        [
            row.label,
            row.kwh,
            row.unrated_kwh,
            row.th_h,
            *(row.amounts[name] for name in AMOUNTS),
            report.currency,
            row.avg_rate,
            row.coverage_percent,
            row.kg_co2,
            *_conversions(row.conversions),
        ]
        for row in report.rows
    ]
    rows.append(
        [
            "total",
            report.kwh(),
            sum((row.unrated_kwh for row in report.rows), start=report.kwh() * 0),
            sum((row.th_h for row in report.rows), start=report.kwh() * 0),
            *(report.total(name) for name in AMOUNTS),
            report.currency,
            report.avg_rate(),
            None,
            report.kg_co2(),
            *[None] * 4,
        ]
    )
    return rows


def _conversions(used: Sequence[Conversion]) -> list[Any]:
    """Return the reference rates of a row; several stand in one cell."""
    if not used:
        return [None] * 4
    return [
        " ".join(one.source_currency for one in used),
        " ".join(f"{round(one.rate, 10):f}" for one in used),
        " ".join(one.day.isoformat() for one in used if one.day),
        " ".join(one.source for one in used),
    ]
