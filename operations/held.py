"""The operator's decision about a held message.

The receiving functions release and confirm, with their own settings and permissions: this only asks them.
"""

from typing import Any, Literal

from email_handler.conversations.disposition import Outcome
from email_handler.identifiers import FunctionName, ReceiptId
from operations.connection import Connection
from operations.errors import CommandError
from operations.functions import RECEIVERS, Functions


def decide(
    what: Literal["release", "confirm"],
    receipt: ReceiptId,
    receiver: FunctionName,
    functions: Functions,
    *,
    listed: bool = False,
) -> dict[str, Any]:
    """Release or confirm the message *receipt* that the function *receiver* held, and return what the function reports:
    outcome, conversation and jobs, or ``error`` if it cannot be done or was decided otherwise before.

    *listed* puts the sender on the allow-list (release) or the block-list (confirm). Raises CommandError.
    """
    lists = {"allow": listed} if what == "release" else {"block": listed}
    request = {"do": what, "receipt": receipt, "function": receiver, **lists}
    result: dict[str, Any] = functions.call(receiver, {"operator": request})
    releasing = what == "release"
    if "error" not in result and (result.get("outcome") == Outcome.HOLD) is releasing:  # an earlier decision is final
        result["error"] = f"it was {'confirmed' if releasing else 'released'} before, and that stands"
    return result


def receiver_of(connection: Connection, receipt: ReceiptId) -> FunctionName:
    """Return the function that held *receipt*; if none did, inbound, which reports that.

    Raises CommandError if both did.
    """
    records = {function: connection.records.message(receipt, function) for function in RECEIVERS}
    found = [function for function, record in records.items() if record and record.outcome is Outcome.HOLD]
    if len(found) > 1:
        raise CommandError(f"{receipt} was held by both functions: choose one with --function inbound or reply")
    return found[0] if found else "inbound"
