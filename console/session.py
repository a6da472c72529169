"""The one browser that may use this console, and what it is told next."""

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import compare_digest

TOKEN = "token"  # noqa: S105  (the name of the parameter)
COOKIE = "console"
CSRF = "csrf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """A form that takes back what was done."""

    action: str  # its path
    fields: Mapping[str, str] = field(default_factory=dict)
    label: str = "Undo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an act did, in a sentence for the next page."""

    text: str
    failed: bool = False
    undo: Undo | None = None


class Session:
    """The secrets of one run of the console.

    The link that the command prints has a token. The first browser that follows it gets a cookie instead, and the token
    is worth nothing from then on; so there is one cookie, and one browser.

    Cookies know no ports (RFC 6265, section 8.5): a browser sends one of 127.0.0.1 to every server there, whoever on this
    machine runs it. They know paths. So all pages are below *root*, a path that nobody can guess, and the cookie is for
    that path alone.
    """

    def __init__(self, port: int) -> None:
        """Make the secrets of a console on *port* of 127.0.0.1."""
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.root = f"/{secrets.token_urlsafe(16)}"
        self.csrf = secrets.token_urlsafe(32)
        self.note: Note | None = None
        self.opened = threading.Event()  # set once a browser has the cookie
        self._token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """Return the link that opens the console, once. It does not tell *root*: other users may see it in the command
        line with which a terminal starts the browser."""
        return f"{self.origin}/?{TOKEN}={self._token}"

    def exchange(self, token: str) -> str:
        """Return the cookie for *token*, which is spent by that; "" for any other."""
        spent, right = not self._token, compare_digest(token.encode(), self._token.encode())
        if spent or not right:
            return ""
        self._token = ""
        self.opened.set()
        return self._cookie

    def covers(self, path: str) -> bool:
        """Return whether *path* is one of this run's pages: below its root."""
        first, slash, _ = path[1:].partition("/")
        return bool(slash) and compare_digest(f"/{first}".encode(), self.root.encode())

    def knows(self, cookie: str) -> bool:
        """Return whether *cookie* is the one that was given for the token."""
        return not self._token and compare_digest(cookie.encode(), self._cookie.encode())

    def may_act(self, csrf: str) -> bool:
        """Return whether a form has the token that our pages put into it."""
        return compare_digest(csrf.encode(), self.csrf.encode())

    def take_note(self) -> Note | None:
        """Return what the next page says, once."""
        note, self.note = self.note, None
        return note
