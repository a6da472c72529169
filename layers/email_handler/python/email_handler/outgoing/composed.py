"""What composing returns: the bytes, and what was replaced, removed or held on the way."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a private address, hidden term, thread address or banner line was found, and what was done."""

    where: str  # "header Subject", "text/plain part 1", "attachment 2 (application/pdf)", ...
    action: str  # "replaced", "removed", "held", "unchecked"
    what: str  # "private address", "hidden term", "thread address", "banner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message ready for SES. ``held`` means: do not send, report the places to the owner."""

    raw: bytes
    places: tuple[Place, ...] = ()
    held: bool = False
    unchecked: tuple[str, ...] = ()  # parts that could not be decoded for the leak gate
