"""The operator's two lists: senders whose messages the filter passes or holds."""

import re

from email_handler.adapters.dynamodb.keys import mailbox
from email_handler.mail.addresses import ascii_domain
from email_handler.ports import ListKind
from operations.connection import Connection

_DOMAIN = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?\.)+[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")


def read_entry(text: str) -> str:
    """Return the address or domain that *text* names, in lower case, its domain in ASCII. Raises ValueError."""
    local, at, named = text.strip().lower().removeprefix("@").rpartition("@")
    domain = ascii_domain(named)
    if not _DOMAIN.fullmatch(domain) or (at and (not local or any(letter.isspace() for letter in local))):
        raise ValueError(f"{text} is neither an address nor a domain")
    return f"{local}{at}{domain}"


def listed(connection: Connection, entry: str) -> ListKind | None:
    """Return the list that *entry* is on in any spelling of it, None if it is on none."""
    return dict(connection.records.listed()).get(mailbox(entry))


def put(connection: Connection, entry: str, kind: ListKind | None) -> ListKind | None:
    """Put *entry* on a list, or take it off (None); return the list that it was on before."""
    before = listed(connection, entry)
    connection.records.put_listed(entry, kind)
    return before
