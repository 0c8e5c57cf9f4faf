"""A fitting process: reads tasks from its standard input until that closes.

A process of its own, because statsmodels is large and slow to load, and because a fit that does
not end can only be killed. It is started by `fitting.py`, never by a person.
"""

import os
import sys
from typing import BinaryIO

from intelligence.forecasts.arima import arima
from intelligence.forecasts.price import PriceTask, forecast_price
from intelligence.recommendations.wire import LENGTH


def _serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    _answer(answers, b"ready")
    while len(prefix := tasks.read(LENGTH.size)) == LENGTH.size:
        task = PriceTask.model_validate_json(tasks.read(LENGTH.unpack(prefix)[0]))
        _answer(answers, forecast_price(task, arima).model_dump_json().encode())


def _answer(answers: BinaryIO, message: bytes) -> None:
    answers.write(LENGTH.pack(len(message)) + message)
    answers.flush()


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as answers_only:
        os.dup2(2, 1)  # whatever a library prints must not land among the answers
        _serve(sys.stdin.buffer, answers_only)
