"""Answers of the history."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["calculation", "projection", "batch"]


class HistoryItem(BaseModel):
    """One line of the history."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    kind: Kind
    title: str
    summary: dict[str, Any]
    shared: bool
    created_at: datetime


class HistoryDetail(HistoryItem):
    """One calculation as it was asked and answered."""

    request: dict[str, Any]
    result: dict[str, Any]


class SharedCalculation(BaseModel):
    """What somebody with the link sees: the calculation, and nothing about whose it is."""

    kind: Kind
    title: str
    request: dict[str, Any]
    result: dict[str, Any]
    created_at: datetime


class ShareLink(BaseModel):
    """The link to a shared calculation. It is shown once; asking again replaces it."""

    token: str
    path: str
    shared_at: datetime


class Difference(BaseModel):
    """One figure of two calculations."""

    first: float | None
    second: float | None
    difference: float | None = Field(description="second - first")
    difference_percent: float | None


class Comparison(BaseModel):
    """Two calculations side by side."""

    first: HistoryItem
    second: HistoryItem
    inputs: dict[str, Difference] = Field(description="The numbers that went in, and differ.")
    figures: dict[str, Difference] = Field(description="All numbers that came out.")
