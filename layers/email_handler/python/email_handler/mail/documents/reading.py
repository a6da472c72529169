"""What readers return, and the budget they share.

A reader takes the bytes of a file and yields what its format holds: runs of text and the boundaries between them,
files within the file, and every part that it could not read. It never skips anything silently.
"""

from collections.abc import Callable, Iterator

from email_handler.mail.patterns import regex
from email_handler.values import dataclass

BOUNDARY = "\0"
"""Stands between two runs of a :class:`Text` (a tag, a cell, a text operator): it may lie inside an address, and an
address may begin or end at it."""

KERN = "\1"
"""Stands between two runs of one word (kerning): it may lie inside an address, but none begins or ends at it."""

LANGUAGE = regex("\x1b[A-Za-z0-9-]{2,20}\x1b")
"""Marks the language of what follows in a text string of a PDF (ISO 32000-1 §7.9.2.2), also within a word."""

ENCRYPTED = "encrypted"
DAMAGED = "damaged or cut"
TOO_LARGE = "too large"
TOO_DEEP = "nested too deep"
TOO_MANY = "too many parts"
UNKNOWN = "a format that is not read"
OWN_ENTITIES = "declares entities of its own"
NO_CHARACTER_MAP = "a font without a character map"


@dataclass(frozen=True, slots=True)
class Text:
    """Runs of text, with :data:`BOUNDARY` or :data:`KERN` between them."""

    text: str
    is_markup: bool = False  # the source of HTML or XML: its tags are boundaries


@dataclass(frozen=True, slots=True)
class Raw:
    """Decoded bytes of no known structure: strings may stand anywhere in them."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a file within the file."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """A file within the file."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that was not read in full: one of the reasons above."""

    reason: str
    name: str = ""  # of the file within the file, if it is one


type Found = Text | Raw | Name | Member | Unread
type Reader = Callable[[bytes, "Budget"], Iterator[Found]]


class Budget:
    """What all files of one message may cost together: a bomb in any of them stops here."""

    MAX_BYTES = 64 * 1024 * 1024  # decoded bytes, each container's and its contents'
    MAX_MEMBERS = 10_000  # files, and streams of documents

    def __init__(self) -> None:
        self.bytes = self.MAX_BYTES
        self.members = self.MAX_MEMBERS

    def take(self, size: int, cost: int = 1) -> bool:
        """Spend *size* bytes, *cost* times if they are slow to decode; return False, and spend nothing, if too few are
        left."""
        if size * cost > self.bytes:
            return False
        self.bytes -= size * cost
        return True

    def take_member(self) -> bool:
        """Spend one member; return False if none is left."""
        self.members -= 1
        return self.members >= 0
