"""What composition takes and returns: shared by forward, reply and acknowledgement."""

from dataclasses import dataclass, field
from datetime import datetime

from email_handler.conversations.disposition import Reason
from email_handler.conversations.identity import Identity, Threading
from email_handler.identifiers import ConversationId, EmailAddress

FORWARD_LIMIT = 25 * 1024 * 1024  # octets as sent: what common mailboxes accept


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a private address, hidden term, thread address or banner line stood, and what was done."""

    where: str  # "header Subject", "text/plain part 1", "attachment 2 (application/pdf)", ...
    action: str  # "replaced", "removed", "held", "unchecked"
    what: str  # "private address", "hidden term", "thread address", "banner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message ready for SES. ``held`` means: do not send, tell the owner the places."""

    raw: bytes
    places: tuple[Place, ...] = ()
    held: bool = False
    unchecked: tuple[str, ...] = ()  # parts that could not be decoded for the leak gate


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardContext:
    """What the banner and the headers of a forward need besides the mail itself."""

    identity: Identity
    thread_address: EmailAddress  # ``<id>.<token>@thread.<domain>``
    everyone_address: EmailAddress  # ``<id>.<token>+all@thread.<domain>``
    conversation: ConversationId
    threading: Threading
    number: int  # this is the contact's n-th message here
    started_at: datetime
    earlier: tuple[tuple[ConversationId, str, datetime], ...]  # the contact's other conversations
    sender_name: str  # of From, or the LinkedIn person
    sender: str  # From's address for display, "" where none
    verified: bool
    verification: str
    flagged: bool
    score: float
    reasons: tuple[Reason, ...]
    source: str
    reply_address: str  # where an answer will go
    reply_differs: bool
    archive_key: str
    linkedin_thread: str = ""
    possible_duplicate: bool = False  # a second copy: SES's answer to the first was lost
    text_only: bool = False  # the text and a list of the rest: the whole was refused for content or size


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyContext:
    """What an answer to the contact needs besides the owner's mail."""

    identity: Identity
    threading: Threading
    contact: EmailAddress  # thread addresses in quotations become this
    recipients: tuple[EmailAddress, ...]  # To of the answer: the reply address, or all for ``+all``
    contact_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgementContext:
    """What an acknowledgement needs besides the mail it answers."""

    identity: Identity
    recipient: EmailAddress
    threading: Threading
    text_template: str  # string.Template placeholders: $name, $subject, $public_address, $display_name
    html_template: str
    name: str = ""
    values: dict[str, str] = field(default_factory=dict)  # further placeholders
