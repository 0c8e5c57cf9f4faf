"""What a miner's reply to an order means."""

from telemetry.devices.device import CommandResult, CommandState
from telemetry.devices.exchange import Reply
from telemetry.domain.normalise_answers import status_of
from telemetry.domain.reading import Outcome

ACCEPTED = CommandResult(CommandState.ACCEPTED)


def verdict(reply: Reply) -> CommandResult:
    """Judge the reply to an order.

    An answer that was lost after the order had left us is no failure: the miner may have obeyed
    and gone down before it answered, so telemetry has to decide.
    """
    if reply.document is None:
        if reply.sent:
            detail = f"The order was sent, its answer was lost ({reply.outcome})."
            return CommandResult(CommandState.ACCEPTED_UNCONFIRMED, detail)
        return unreachable_unless_answered(reply)
    status = status_of(reply.document)
    if status.letter in {"S", "I"}:
        return ACCEPTED
    if status.letter in {"RESTART", "BYE"} or "BYE" in reply.document:
        return ACCEPTED  # the bare goodbye of a process that is about to go
    detail = f"The miner refused: {status.message or 'no reason given'} (code {status.code})."
    return CommandResult(CommandState.REFUSED, detail)


def unreachable_unless_answered(reply: Reply) -> CommandResult:
    """Judge a reply to a question that changes nothing on the miner."""
    if reply.outcome in {Outcome.NOT_JSON, Outcome.WRONG_SHAPE, Outcome.TOO_LARGE}:
        detail = f"What answers there is no miner we can command ({reply.outcome})."
        return CommandResult(CommandState.REFUSED, detail)
    return CommandResult(CommandState.UNREACHABLE, f"The miner did not answer ({reply.outcome}).")
