import csv
import io
from decimal import Decimal
from typing import Annotated

import pytest
from fastapi.responses import Response
from pydantic import BaseModel, PlainSerializer
from python_calamine import CalamineWorkbook

from energy.wind_views.figures import Bitcoin, Money
from energy.wind_views.sheets import XLSX, Format, accepted_format, shown

Plain = Annotated[Decimal, PlainSerializer(str)]


class Inner(BaseModel):
    farm: str
    payment_gbp: Money | None
    bitcoin: Bitcoin
    counted: bool


class Price(BaseModel):
    usd: Money | None


class Answer(BaseModel):
    date: str
    payment_gbp: Money
    units: list[str]
    price: Price
    items: list[Inner]


class Nested(BaseModel):
    name: str
    answers: list[Answer]


def an_answer(*items: Inner) -> Answer:
    return Answer(
        date="2025-03-04",
        payment_gbp=Decimal("-12.5"),
        units=["T_A-1", "T_A-2"],
        price=Price(usd=None),
        items=list(items),
    )


INNER = Inner(farm="=1+1", payment_gbp=Decimal("-0.5"), bitcoin=Decimal(0), counted=True)


async def file_of(answer: BaseModel, wanted: Format) -> bytes:
    response = await shown(answer, wanted, "name")
    assert isinstance(response, Response)
    assert f'filename="name.{wanted}"' in response.headers["content-disposition"]
    return bytes(response.body)


def lines(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


async def test_json_is_the_answer_itself() -> None:
    answer = an_answer(INNER)
    assert await shown(answer, "json", "name") is answer


async def test_csv_holds_a_row_per_member_with_the_heads_figures() -> None:
    other = Inner(farm="Wick", payment_gbp=None, bitcoin=Decimal("1e-8"), counted=False)
    first, second = lines(await file_of(an_answer(INNER, other), "csv"))
    assert first == {
        "date": "2025-03-04",
        "payment_gbp": "-0.500000",
        "units": "T_A-1; T_A-2",
        "price_usd": "",
        "farm": "'=1+1",
        "bitcoin": "0.00000000",
        "counted": "true",
    }
    assert (second["payment_gbp"], second["bitcoin"]) == ("", "0.00000001")


async def test_a_file_of_no_members_still_names_its_columns() -> None:
    content = await file_of(an_answer(), "csv")
    assert content.decode("utf-8-sig").strip() == (
        "date,payment_gbp,units,price_usd,farm,bitcoin,counted"
    )


async def test_members_of_members_are_rows() -> None:
    nested = Nested(name="both", answers=[an_answer(INNER), an_answer(INNER, INNER)])
    rows = lines(await file_of(nested, "csv"))
    assert [row["name"] for row in rows] == ["both"] * 3


async def test_in_a_workbook_figures_are_numbers_and_text_is_no_formula() -> None:
    content = await file_of(an_answer(INNER), "xlsx")
    sheet = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0)
    header, row = sheet.to_python()
    cells = dict(zip(header, row, strict=True))
    assert cells["payment_gbp"] == -0.5
    assert cells["farm"] == "=1+1"  # a text cell, which a workbook never computes
    assert b"<f>" not in content


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", "json"),
        ("text/csv", "csv"),
        ("text/csv; charset=utf-8; q=1", "csv"),
        (XLSX, "xlsx"),
        ("text/html, text/csv;q=0.4, application/json;q=0.9", "json"),
        ("TEXT/CSV ; q=0.4, */*;q=0.1", "csv"),
        ("text/csv;q=no", "json"),
        ("image/png", "json"),
    ],
)
def test_the_best_of_the_accepted_kinds_is_sent(header: str, wanted: str) -> None:
    assert accepted_format(header) == wanted
