"""Ids that a contact's messages name and that nobody's message had yet: they are *awaited* (ADR 29).

A later message of the same contact that has such an id, or names one, joins the conversation that awaits it: a parent
that comes late, a sibling of a parent that never comes. They are kept with the contact, so they lead nobody else
anywhere, and two contacts that name one id do not meet.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from email_handler.conversations.records import Awaited, Contact
from email_handler.identifiers import ConversationId

MAX_NAMED = 4  # new ids of one message: its two nearest ancestors and its two oldest, which its siblings name too
MAX_AWAITED = 60  # ids kept with a contact, the latest: under 4 KB, so that their record stays cheap to write
AWAITED_FOR = timedelta(days=90)


def conversations_awaiting(
    contact: Contact | None, local_parts: Iterable[str], now: datetime
) -> tuple[ConversationId, ...]:
    """Return the conversations that await one of *local_parts* from *contact*, in the order of these, each once."""
    leads = {digest: conversation for digest, conversation, _ in _current(contact, now)} if contact else {}
    found = (leads.get(_digest(local_part)) for local_part in local_parts) if leads else ()
    return tuple(dict.fromkeys(conversation for conversation in found if conversation))


def awaiting(
    contact: Contact,
    conversation: ConversationId,
    *,
    named: Iterable[str],
    known: Collection[str],
    arrived: str,
    now: datetime,
) -> Contact:
    """Return *contact* after a verified message of theirs in *conversation*, ids by their local parts: what it *named*
    (nearest first) is awaited from *now* on, unless it is *known*; its own id, *arrived*, no longer is.

    An id that another conversation awaits already stays with that one.
    """
    kept = [one for one in _current(contact, now) if one[0] != _digest(arrived)]
    there = {digest for digest, *_ in kept}
    new = [digest for digest in map(_digest, (one for one in named if one not in known)) if digest not in there]
    half = MAX_NAMED // 2
    added = ((digest, conversation, now) for digest in (*new[:half], *new[half:][-half:]))
    return replace(contact, awaited=(*kept, *added)[-MAX_AWAITED:])


def _current(contact: Contact, now: datetime) -> list[Awaited]:
    return [one for one in contact.awaited if now - one[2] <= AWAITED_FOR]


def _digest(local_part: str) -> str:
    """Return 16 characters for a local part of any length. Who finds two with the same joins only messages of their own."""
    return hashlib.blake2b(local_part.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
