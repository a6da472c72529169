"""What composing returns: the bytes, what was replaced, removed or held on the way, and what was not read in full."""

from email_handler.conversations.records import LeftOut
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a private address, hidden term, thread address or banner line was found, and what was done."""

    where: str  # "header Subject", "text/plain part 1", "attachment 2 (application/pdf)", ...
    action: str  # "replaced", "removed", "held"
    what: str  # "private address", "hidden term", "thread address", "banner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One passage of the owner's own new text (not of what they quoted) that leaves in other words."""

    where: str  # the part, named as in :class:`Place`
    what: str  # "private address", "hidden term", "thread address"
    before: str  # as the owner's client showed it, on one line; at most 200 characters
    after: str  # what stands there now; "" if it was removed

    def __str__(self) -> str:
        """Return what changed, in words for the owner."""
        return f"“{self.before}” is now “{self.after}”" if self.after else f"“{self.before}” was removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """A part that the leak gate did not read in full. It may still be sent: parameter ``UncheckedParts`` decides."""

    where: str  # the part, named as in :class:`Place`
    name: str  # its file name, on one line; "" if it has none
    reason: str  # in words for the owner: "encrypted", "damaged or cut", "too large", ... (``mail.documents.reading``)

    def __str__(self) -> str:
        """Return the part and the reason, in words for the owner."""
        return f"{self.name or self.where} ({self.reason})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message ready for SES. ``held`` means: do not send, report the places to the owner."""

    raw: bytes
    places: tuple[Place, ...] = ()  # everything that was replaced, removed or held, each once
    held: bool = False
    unchecked: tuple[Unchecked, ...] = ()  # each part and reason once, in the order of the message
    changes: tuple[Change, ...] = ()  # in the order of the text, each once
    left_out: LeftOut | None = None  # of a forward: the files that it lacks
