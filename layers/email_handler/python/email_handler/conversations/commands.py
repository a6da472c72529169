"""Commands by mail: what the owner asks for by the tag of an address, or by the subject that an action link prefills.

``<id>.<token>+<verb>@thread.<domain>``; the same verb as a subject, ``email-handler: <verb>``. The id is a conversation's,
or for ``release`` and ``confirm`` the receipt of a held message. Only a verified owner's message is a command.
"""

import re
import unicodedata
from enum import StrEnum

from email_handler.identifiers import ReceiptId
from email_handler.mail.ignorable import IGNORABLE
from email_handler.mail.patterns import regex
from email_handler.values import dataclass


class Verb(StrEnum):
    """What can be asked for."""

    BLOCK = "block"  # hold whatever the contact writes from now on
    SPAM = "spam"  # close the conversation for good: a new message does not reopen it
    CLOSE = "close"  # close it until the contact writes again
    SNOOZE = "snooze"  # put it off for a day; ``snooze-3d`` for three
    CANCEL = "cancel"  # do not send the replies that have not left yet
    CHECK = "check"  # show the owner their reply as the contact would get it
    FILES = "files"  # send the owner the files that were left out of a forward; ``files-1hqyok`` of that message's
    RELEASE = "release"  # deliver a held message
    CONFIRM = "confirm"  # a message was rightly held


OF_HELD = frozenset({Verb.RELEASE, Verb.CONFIRM})
"""Verbs about one held message; all others are about a conversation."""

MEANINGS = {
    Verb.BLOCK: "hold whatever this sender writes from now on",
    Verb.SPAM: "close this conversation; a new message does not reopen it",
    Verb.CLOSE: "close this conversation until the contact writes again",
    Verb.SNOOZE: "remind me of this conversation tomorrow; snooze-3d: in three days (at most 90)",
    Verb.CANCEL: "do not send my replies that are still waiting",
    Verb.CHECK: "get your reply back as the contact would get it, without sending it",
    Verb.FILES: "get the attachments that were left out of a message because of their size",
    Verb.RELEASE: "deliver a held message (from the list of held messages)",
    Verb.CONFIRM: "a message was rightly held (from the list of held messages)",
}
"""What each verb does, in a few words for the owner."""

EVERYONE = "all"
"""The one tag that is no command: the reply goes to everybody in the conversation."""

PREFILLED = "Send this message as it is. It goes to no contact."
"""The text that an action link fills in."""

LONGEST_SNOOZE = 90
"""Days for which a conversation can be put off at most."""

_SNOOZE = regex(r"snooze-([1-9][0-9]?)d")
_FILES = regex(r"files-([a-z0-9]{1,40})")
_NAMED = 6  # characters of a receipt: they name one of a few messages, and leave the address within RFC 5321's 64
_SUBJECT = regex(r"\s*(?:re\s*:\s*)?email-handler\s*:\s*([\w-]{1,40})\s*", re.IGNORECASE)
# Behind any prefixes, since clients know many. IGNORECASE as above: Python takes dotless and dotted letters for an i too.
_LIKE_A_REQUEST = regex(r"(?:\w{1,8}\s?:\s?)*email-handler\s?:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Command:
    """One request. ``verb`` is None if nobody knows what ``asked`` means."""

    asked: str
    verb: Verb | None
    days: int = 1  # of SNOOZE
    about: str = ""  # of FILES: how the receipt of the message begins, "" for no certain one


def read_command(tag: str, subject: str) -> Command | None:
    """Return what the *tag* of a thread address asks for, else what the *subject* does; None for an ordinary reply."""
    found = _SUBJECT.fullmatch(subject)
    asked = tag if tag not in ("", EVERYONE) else found[1].lower() if found else ""
    if not asked:
        return None
    if (snooze := _SNOOZE.fullmatch(asked)) and int(snooze[1]) <= LONGEST_SNOOZE:
        return Command(asked, Verb.SNOOZE, int(snooze[1]))
    if named := _FILES.fullmatch(asked):
        return Command(asked, Verb.FILES, about=named[1])
    return Command(asked, Verb(asked) if asked in set(Verb) else None)


def files_of(receipt: ReceiptId) -> str:
    """Return what asks for the files of the message *receipt*."""
    return f"{Verb.FILES}-{receipt[:_NAMED].lower()}"


def quoted_request(subject: str) -> str:
    """Return *subject*, in quotation marks if it begins like a request of the owner's: the contact chose it, and the
    owner's email program repeats it in a reply, which must not become a command."""
    letters = unicodedata.normalize("NFKC", IGNORABLE.sub("", subject))
    return f"“{subject}”" if _LIKE_A_REQUEST.match(" ".join(letters.split())) else subject
