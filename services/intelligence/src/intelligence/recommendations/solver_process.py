"""A solver process: reads tasks from its standard input until that closes.

A process of its own, because a solver can hold its interpreter for longer than its time limit, and
only killing it is certain to stop it. It is started by `solver.py`, never by a person.
"""

import os
import sys
from typing import BinaryIO

import numpy as np

from intelligence.domain.shedding import Fleet
from intelligence.recommendations.milp import select_by_milp
from intelligence.recommendations.wire import LENGTH, decode, encode_choice


def _serve(tasks: BinaryIO, answers: BinaryIO) -> None:
    _answer(answers, b"ready")
    while len(prefix := tasks.read(LENGTH.size)) == LENGTH.size:
        task = decode(tasks.read(LENGTH.unpack(prefix)[0]))
        _answer(
            answers, encode_choice(select_by_milp(task.fleet, task.target_w, task.time_limit_s))
        )


def _answer(answers: BinaryIO, message: bytes) -> None:
    answers.write(LENGTH.pack(len(message)) + message)
    answers.flush()


def _warm_up() -> None:
    """Solve something tiny: the first solve loads the solver's library."""
    machines = Fleet(
        power_w=np.array([3000.0, 3300.0]),
        loss=np.array([100.0, 90.0]),
        group=np.zeros(2, dtype=np.int64),
        cap_w=np.array([np.inf]),
    )
    select_by_milp(machines, 3000.0, 1.0)


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as answers_only:
        os.dup2(2, 1)  # whatever a solver prints must not land among the answers
        _warm_up()
        _serve(sys.stdin.buffer, answers_only)
