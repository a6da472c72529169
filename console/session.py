"""The one browser that may use this console, and what it is told next."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import compare_digest

TOKEN = "token"  # noqa: S105  (the name of the parameter)
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
    """

    def __init__(self, port: int) -> None:
        """Make the secrets of a console on *port* of 127.0.0.1."""
        self.host = f"127.0.0.1:{port}"
        self.origin = f"http://{self.host}"
        self.cookie_name = (
            f"email-handler-console-{port}"  # cookies know no ports: each console needs a name of its own
        )
        self.csrf = secrets.token_urlsafe(32)
        self.note: Note | None = None
        self._token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """Return the link that opens the console, once."""
        return f"{self.origin}/?{TOKEN}={self._token}"

    def exchange(self, token: str) -> str:
        """Return the cookie for *token*, which is spent by that; "" for any other."""
        spent, right = not self._token, compare_digest(token.encode(), self._token.encode())
        if spent or not right:
            return ""
        self._token = ""
        return self._cookie

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
