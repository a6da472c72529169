"""The operator's requests, carried out by the receiving functions with their settings and permissions."""

from collections.abc import Mapping
from typing import Any

from email_handler.conversations.records import Decision
from email_handler.errors import MalformedEvent, PermanentError
from email_handler.identifiers import FunctionName, ReceiptId
from email_handler.usecases.context import Context
from email_handler.usecases.held import confirm, release
from email_handler.usecases.reconcile import take_up


def operate(request: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Carry out *request*: ``do`` is "release" (``allow``), "confirm" (``block``) or "replay", for the message of
    ``receipt`` and ``function``. Each is decided at most once, however often it is asked for.

    Return ``outcome``, ``conversation`` and ``jobs``, or ``error`` with a sentence for the operator. Raises transient
    errors, and MalformedEvent for anything that is not a request.
    """
    receipt, function = request.get("receipt"), request.get("function", "inbound")
    if not isinstance(receipt, str) or not receipt or function not in ("inbound", "reply"):
        raise MalformedEvent("a request names a receipt, and inbound or reply")
    try:
        decision = _decide(request, ReceiptId(receipt), function, context)
    except MalformedEvent:
        raise
    except PermanentError as error:
        return {"error": str(error)}
    return {
        "outcome": decision.outcome.value,
        "conversation": decision.conversation,
        "jobs": [job.ledger for job in decision.jobs],
    }


def _decide(request: Mapping[str, Any], receipt: ReceiptId, function: FunctionName, context: Context) -> Decision:
    match request.get("do"):
        case "release":
            return release(receipt, function, context, allow=request.get("allow") is True)
        case "confirm":
            return confirm(receipt, function, context, block=request.get("block") is True)
        case "replay":
            return take_up(receipt, function, context, acknowledge=False)
        case _:
            raise MalformedEvent("a request asks to release, confirm or replay")
