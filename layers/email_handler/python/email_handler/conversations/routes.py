"""Which private mailboxes a message goes to: ``config/routes.toml``.

A document that exists imports what reads it, and so does a pattern in it: senders seldom meet any.
"""

from typing import Any

from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import read_mailboxes
from email_handler.values import dataclass

MAX_MAILBOXES = 50  # of one route: each is a write in the decision's transaction, which has 100 at most
MAX_MATCHED = 1000  # characters of a subject or an address that a pattern sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route. If every given condition holds, the message goes to ``to``."""

    to: tuple[EmailAddress, ...]
    address: str = ""
    tag: str = ""
    subject: Any = None  # compiled pattern (the library has no types)
    sender: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """The routes in the file's order, and the problems of those left out (constants and numbers only)."""

    routes: tuple[Route, ...] = ()
    problems: tuple[str, ...] = ()
    left_out: tuple[EmailAddress, ...] = ()  # mailboxes of the routes left out

    @property
    def mailboxes(self) -> frozenset[EmailAddress]:
        """Return every private mailbox that any route names, used or left out."""
        return frozenset((*(address for route in self.routes for address in route.to), *self.left_out))

    def mailboxes_for(
        self, *, address: str, tag: str, subject: str, sender: str, otherwise: tuple[EmailAddress, ...]
    ) -> tuple[EmailAddress, ...]:
        """Return the mailboxes of the first route that matches, or *otherwise* (the parameter ForwardTo).

        A pattern that reaches one of PCRE2's limits does not match.
        """
        for route in self.routes:
            if (
                route.address in ("", address.lower())
                and route.tag in ("", tag.lower())
                and _found(route.subject, subject)
                and _found(route.sender, sender)
            ):
                return route.to
        return otherwise


def _found(pattern: Any, text: str) -> bool:
    if pattern is None:
        return True
    import pcre2  # noqa: PLC0415

    try:
        return pattern.search(text[:MAX_MATCHED]) is not None
    except pcre2.LibraryError:
        return False


def load_routes(document: bytes) -> Routes:
    """Read the TOML *document*: tables ``[[route]]`` with ``to`` (one address or a list) and any of ``address``,
    ``tag``, ``subject``, ``sender`` (PCRE2 patterns). A bad route is left out and named in ``problems``. A document
    that is not TOML has no routes and one problem. This file never stops a message."""
    import tomllib  # noqa: PLC0415

    import pcre2  # noqa: PLC0415

    try:
        entries = tomllib.loads(document.decode("utf-8-sig"))["route"]
    except KeyError:
        return Routes()
    except (ValueError, RecursionError):
        return Routes(problems=("routes: not a TOML document",))
    if not isinstance(entries, list):
        return Routes(problems=("routes: not a list of [[route]] tables",))
    routes: list[Route] = []
    problems: list[str] = []
    left_out: list[EmailAddress] = []
    for number, entry in enumerate(entries, start=1):
        try:
            routes.append(_route(entry))
        except (KeyError, TypeError, ValueError, AttributeError, pcre2.LibraryError) as error:
            problems.append(f"routes: route {number} left out ({type(error).__name__})")
            left_out += _mailboxes(entry)
    return Routes(routes=tuple(routes), problems=tuple(problems), left_out=tuple(left_out))


def _route(entry: dict[str, Any]) -> Route:
    import pcre2  # noqa: PLC0415

    named = entry["to"]
    addresses = _mailboxes(entry)
    if not 0 < len(addresses) <= MAX_MAILBOXES or len(addresses) < (1 if isinstance(named, str) else len(named)):
        raise ValueError("to")
    return Route(
        to=addresses,
        address=entry.get("address", "").lower(),
        tag=entry.get("tag", "").lower(),
        subject=pcre2.compile(entry["subject"]) if entry.get("subject") else None,
        sender=pcre2.compile(entry["sender"]) if entry.get("sender") else None,
    )


def _mailboxes(entry: object) -> tuple[EmailAddress, ...]:
    """Return the valid plain addresses of an entry's ``to``."""
    named = entry.get("to") if isinstance(entry, dict) else None
    texts = named if isinstance(named, list) else [named]
    addresses = (EmailAddress(text.strip().lower()) for text in texts if isinstance(text, str))
    return tuple(a for a in addresses if [box.address for box in read_mailboxes([a])] == [a])
