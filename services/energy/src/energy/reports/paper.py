"""A cost report as PDF: what it is about, a chart, and the table."""

import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from energy.reports.gathering import Report, ReportRow

_FONT: Final = "Helvetica"
_INK, _FAINT, _BAR, _BAND = (30, 34, 42), (110, 116, 128), (38, 98, 160), (240, 243, 247)
_WIDTH: Final = 180
_CHART_HEIGHT: Final = 50
_ROW: Final = 5.2
_COLUMNS: Final = (
    ("Period", 20, "L"), ("kWh", 25, "R"), ("Energy", 25, "R"), ("Service", 20, "R"),
    ("Demand", 23, "R"), ("Other, taxes", 22, "R"), ("Total", 25, "R"), ("kg CO2", 20, "R"),
)  # fmt: skip
_LABELS: Final = 12
_SMALLEST: Final = 4.0


class _Paper(FPDF):
    """Pages that say what they belong to."""

    def __init__(self, footer: str) -> None:
        super().__init__(format="A4")
        self._footer = footer
        self.set_margins(15, 15)
        self.set_auto_page_break(auto=True, margin=18)

    def footer(self) -> None:
        """Write the number of the page."""
        self.set_y(-12)
        self.set_font(_FONT, size=8)
        self.set_text_color(*_FAINT)
        self.cell(0, 5, f"{self._footer}   {self.page_no()} / {{nb}}", align="R")


def pdf_of(report: Report) -> bytes:
    """Return a report as PDF.

    Letters that the built-in font lacks lose their accents, or become `?`; CSV and xlsx keep them.
    """
    paper = _Paper(written(_about(report)[0]))
    paper.set_title(written(report.title))
    paper.set_creator("Hashyard")
    paper.set_creation_date(report.made_at)
    paper.add_page()
    _heading(paper, report)
    _figures(paper, report)
    _chart(paper, report)
    _table(paper, report)
    _notes(paper, report)
    return bytes(paper.output())


def written(text: str) -> str:
    """Return text in the letters of the built-in font."""
    bare = "".join(
        letter if letter.encode("latin-1", "ignore") else unicodedata.normalize("NFKD", letter)
        for letter in text
        if letter.isprintable()
    )
    kept = "".join(letter for letter in bare if not unicodedata.combining(letter))
    return kept.encode("latin-1", "replace").decode("latin-1")


def _about(report: Report) -> list[str]:
    whose = [one for one in (report.site_name, report.client_name) if one]
    asked = report.asked
    return [
        " - ".join(whose) or "All sites",
        f"{asked.start_date} to {asked.end_date} ({report.timezone}), in {report.currency}",
    ]


def _heading(paper: FPDF, report: Report) -> None:
    paper.set_text_color(*_INK)
    paper.set_font(_FONT, "B", 18)
    _line(paper, report.title, 9)
    paper.set_font(_FONT, size=11)
    for text in _about(report):
        _line(paper, text, 6)
    if report.simulated:
        paper.set_text_color(170, 80, 0)
        _line(paper, "Readings are simulated.", 6)
    paper.ln(3)


def _line(paper: FPDF, text: str, height: float) -> None:
    paper.cell(_WIDTH, height, _fitting(paper, text, _WIDTH), new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _fitting(paper: FPDF, text: str, width: float) -> str:
    """Return text that is no wider than its cell."""
    shown = written(text)
    while shown and paper.get_string_width(shown) > width - 1:
        shown = shown[:-1]
    return shown


def _figures(paper: FPDF, report: Report) -> None:
    """Write the sums in large letters."""
    rate, co2 = report.avg_rate(), report.kg_co2()
    figures = (
        (f"Total ({report.currency})", _money(report.total("total_cost"))),
        ("Energy (kWh)", _money(report.kwh())),
        (f"{report.currency} per kWh", "-" if rate is None else f"{rate:.4f}"),
        ("CO2 (kg)", "-" if co2 is None else _money(co2)),
    )
    width, top = _WIDTH / len(figures), paper.get_y()
    for place, (name, value) in enumerate(figures):
        paper.set_xy(15 + place * width, top)
        paper.set_font(_FONT, size=8)
        paper.set_text_color(*_FAINT)
        paper.cell(width, 4, name)
        paper.set_xy(15 + place * width, top + 4)
        paper.set_font(_FONT, "B", 13)
        paper.set_text_color(*_INK)
        paper.cell(width, 7, value)
    paper.set_xy(15, top + 15)


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _chart(paper: FPDF, report: Report) -> None:
    """Draw the total of each row as a bar; a row that brought money hangs below the line."""
    totals = [float(row.amounts["total_cost"]) for row in report.rows]
    highest, lowest = max(0.0, *totals), min(0.0, *totals)
    top, span = paper.get_y(), highest - lowest
    paper.set_font(_FONT, size=7)
    paper.set_text_color(*_FAINT)
    paper.cell(_WIDTH, 4, f"Total per {report.asked.interval}, {report.currency}")
    top += 5
    if not span:
        paper.set_xy(15, top)
        paper.cell(_WIDTH, 6, "Nothing was billed.")
        paper.set_xy(15, top + 8)
        return
    left = 15 + 16
    step = (_WIDTH - 16) / len(totals)
    zero = top + _CHART_HEIGHT * highest / span
    _grid(paper, (top, zero), highest, lowest)
    paper.set_fill_color(*_BAR)
    for place, total in enumerate(totals):
        height = _CHART_HEIGHT * abs(total) / span
        low = zero - height if total > 0 else zero
        paper.rect(left + place * step + step * 0.1, low, step * 0.8, height, style="F")
    every = max(1, -(-len(totals) // _LABELS))
    for place in range(0, len(totals), every):
        paper.set_xy(left + place * step, top + _CHART_HEIGHT + 1)
        paper.cell(step * every, 4, report.rows[place].label[-5:])
    paper.set_xy(15, top + _CHART_HEIGHT + 8)


def _grid(paper: FPDF, lines: tuple[float, float], highest: float, lowest: float) -> None:
    top, zero = lines
    paper.set_draw_color(210, 215, 222)
    marks = [(top, highest), (zero, 0.0)]
    if lowest < 0:
        marks.append((top + _CHART_HEIGHT, lowest))
    for height, value in marks:
        paper.line(15 + 16, height, 15 + _WIDTH, height)
        paper.set_xy(15, height - 2)
        paper.cell(15, 4, f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}", align="R")  # noqa: PLR2004  (where cents do not show)


def _table(paper: FPDF, report: Report) -> None:
    _header(paper)
    for place, row in enumerate(report.rows):
        if paper.get_y() > paper.eph + 8:
            paper.add_page()
            _header(paper)
        _cells(paper, _values(row), band=place % 2 == 1)
    paper.set_font(_FONT, "B", 8)
    co2 = report.kg_co2()
    others = report.total("other_charges") + report.total("taxes")
    names = ("energy_cost", "service_charge", "demand_charge")
    _cells(
        paper,
        [
            "Total",
            _money(report.kwh()),
            *(_money(report.total(name)) for name in names),
            _money(others),
            _money(report.total("total_cost")),
            "-" if co2 is None else f"{co2:,.0f}",
        ],
        band=False,
    )


def _header(paper: FPDF) -> None:
    paper.set_font(_FONT, "B", 8)
    paper.set_text_color(*_FAINT)
    for name, width, align in _COLUMNS:
        paper.cell(width, _ROW, name, align=align, border="B")
    paper.ln()
    paper.set_font(_FONT, size=8)
    paper.set_text_color(*_INK)


def _values(row: ReportRow) -> list[str]:
    amounts = row.amounts
    return [
        row.label,
        _money(row.kwh),
        _money(amounts["energy_cost"]),
        _money(amounts["service_charge"]),
        _money(amounts["demand_charge"]),
        _money(amounts["other_charges"] + amounts["taxes"]),
        _money(amounts["total_cost"]),
        "-" if row.kg_co2 is None else f"{row.kg_co2:,.0f}",
    ]


def _cells(paper: FPDF, values: Sequence[str], *, band: bool) -> None:
    paper.set_fill_color(*_BAND)
    for (_, width, align), value in zip(_COLUMNS, values, strict=True):
        # A figure that does not fit is written smaller: cut off, it would be another figure.
        size = 8.0
        while paper.get_string_width(value) > width - 1 and size > _SMALLEST:
            size -= 0.5
            paper.set_font_size(size)
        paper.cell(width, _ROW, value, align=align, fill=band)
        paper.set_font_size(8)
    paper.ln()


def _notes(paper: FPDF, report: Report) -> None:
    """Write what the figures rest on."""
    paper.ln(4)
    paper.set_font(_FONT, size=8)
    paper.set_text_color(*_FAINT)
    unrated = sum((row.unrated_kwh for row in report.rows), Decimal(0))
    notes = [f"Rates: {'; '.join(report.rates) or 'none in force'}."]
    if unrated:
        notes.append(f"For {_money(unrated)} kWh no rate was in force: their cost is not known.")
    known = [row.coverage_percent for row in report.rows if row.coverage_percent is not None]
    if known:
        notes.append(f"Least coverage of the machines' half-hours: {min(known)} %.")
    notes.append(f"Carbon intensity: {report.carbon}.")
    notes.extend(_converted(report))
    notes.append(f"Made {report.made_at:%Y-%m-%d %H:%M} UTC.")
    for note in notes:
        paper.multi_cell(_WIDTH, 4, written(note), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _converted(report: Report) -> list[str]:
    """Return which reference rates were used, those of many days in short."""
    used = sorted(
        {
            (one.source_currency, one.day, one.rate, one.source, one.simulated)
            for row in report.rows
            for one in row.conversions
            if one.day is not None
        }
    )
    if not used:
        return []
    first, last = used[0], used[-1]
    told = "; ".join(
        f"1 {source} = {rate:.6f} {report.currency} on {day}"
        for source, day, rate, *_ in dict.fromkeys((first, last))
    )
    kind = "simulated reference rates" if any(one[4] for one in used) else "reference rates"
    return [f"Converted by daily {kind} of {first[3]} ({len(used)} used): {told}."]
