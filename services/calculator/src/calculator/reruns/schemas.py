"""Answer of a repetition."""

from pydantic import BaseModel

from calculator.history.schemas import Comparison, HistoryDetail


class Rerun(BaseModel):
    """A calculation made again, and how it compares with the earlier one."""

    calculation: HistoryDetail
    comparison: Comparison
