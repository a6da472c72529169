"""Invitations (RFC 5545, RFC 5546): finding calendars, and replacing the organizer and the attendees."""

import re
import urllib.parse
from collections.abc import Callable, Iterator

from email_handler.mail.charsets import decode, marked_codec
from email_handler.mail.encodings import decode_base64
from email_handler.mail.message import Part
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

TYPES = frozenset(
    ("text/calendar", "text/vcalendar", "text/x-vcalendar", "application/ics", "application/calendar", "text/ics")
)
_SUFFIXES = (".ics", ".ical", ".icalendar", ".ifb", ".vcs")
_FROM_ATTENDEE = frozenset(("REPLY", "COUNTER", "REFRESH"))  # RFC 5546 §1.4: what attendees send
_COMPONENTS = frozenset(("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"))
_KEPT = frozenset(("CN", "CUTYPE", "ROLE", "PARTSTAT", "RSVP"))  # RFC 5545 §3.2: the others name further people
_NAME = frozenset(("CN",))
_READ = 4096  # bytes in which a calendar must begin to be found by its content

_UNMARKED = (  # how "BEGIN" starts without a byte order mark
    (b"B\0\0\0", "utf-32-le"), (b"\0\0\0B", "utf-32-be"), (b"B\0", "utf-16-le"), (b"\0B", "utf-16-be"),
)  # fmt: skip
_OTHER_BREAKS = regex("[\v\f\x1c-\x1e\x85\u2028\u2029]")  # some readers end a line there, RFC 5545 does not
_FOLD = regex(r"(?:\r\n|\n|\r)[ \t]")  # RFC 5545 §3.1
_BREAK = regex(r"\r\n|\n|\r")
_BEGIN = regex(r"\W*+BEGIN\s*:\s*V", re.IGNORECASE)  # of a calendar, or of what stands in front of it in a file
_CALENDAR = regex(r"(?:^|[\r\n])\W*+BEGIN\s*:\s*VCALENDAR", re.IGNORECASE)
_VALUE = regex(r'(?:[^:"]++|"[^"]*")*+:(.*)')  # a quoted parameter may hold a colon
_PARAMETER = regex(r';\s*([A-Za-z-]+)\s*=\s*("[^"]*"|[^;:"]*)')
_MAILTO = regex(r"\s*(?:mailto:)?\s*([^\s;?]*)", re.IGNORECASE)
_ADDRESS = regex(r"""["'\s]*+(?:[^@<>]*+<)?\s*+[^\s@<>:]++@[^\s@<>:/]++\s*+>?["'\s]*+""")
_LIST = regex(r"\\?[,;]")
_HEAD_PARAMETER = regex(r';[^=:";]*=((?:"[^"]*"|[^;:"])*)')
_PARTIES = frozenset(("ORGANIZER", "ATTENDEE", "CALENDAR-ADDRESS"))  # the last: RFC 9073 §6.4
_NO_ADDRESSES = frozenset(  # ids, and texts that a person reads: no client sends a response to what stands there
    ("UID", "RELATED-TO", "X-WR-RELCALID", "SUMMARY", "DESCRIPTION", "COMMENT", "LOCATION", "CATEGORIES", "NAME",
     "X-ALT-DESC", "X-WR-CALNAME", "X-WR-CALDESC")
)  # fmt: skip


def calendar_text(part: Part) -> str | None:
    """Return the text of *part* if it is a calendar (see :func:`is_calendar`), None if not."""
    return decode(part.payload, _charset(part)) if is_calendar(part) else None


def is_calendar(part: Part) -> bool:
    """Return whether *part* is a calendar by its content type, its file name or its content: clients go by any."""
    if part.content_type in TYPES or part.filename.lower().endswith(_SUFFIXES):
        return True
    begun = _begins(decode(part.payload[:_READ], _charset(part)))
    return begun and is_calendar_text(decode(part.payload, _charset(part)))


def is_calendar_text(text: str) -> bool:
    """Return whether *text* is a calendar by its content: a vCard or another such component may stand in front of it."""
    return _begins(text[:_READ]) and _CALENDAR.search(_FOLD.sub("", text)) is not None


def _begins(text: str) -> bool:
    return _BEGIN.match(_FOLD.sub("", text)) is not None


def names_parties(text: str) -> bool:
    """Return whether the calendar *text* names anybody to whom a client could send a response."""
    return any(line.is_party for line in _lines(text))


def inline_files(text: str) -> Iterator[bytes]:
    """Yield the files that stand in the calendar *text* itself: values in base64, and ``data:`` URIs (RFC 2397)."""
    for line in _lines(text):
        kind, comma, data = line.value.partition(",")
        if kind.lower().startswith("data:") and comma:
            encoded = urllib.parse.unquote_to_bytes(data)
            yield decode_base64(encoded)[0] if kind.lower().endswith(";base64") else encoded
        elif "BASE64" in line.head.upper():
            yield decode_base64(line.value.encode())[0]


def _lines(text: str) -> list["_Line"]:
    lines = [_Line(line) for line in _BREAK.split(_FOLD.sub("", _OTHER_BREAKS.sub(" ", text)))]
    in_calendar = in_card = False
    for line in lines:
        if line.name in {"BEGIN", "END"}:
            begins, what = line.name == "BEGIN", line.value.upper()
            in_calendar = begins if what == "VCALENDAR" else in_calendar
            in_card = begins and what == "VCARD" and not in_calendar
        elif in_card and line.name not in _PARTIES:
            line.is_party, line.is_of_card = False, True
    return lines


def _charset(part: Part) -> str:
    found = marked_codec(part.payload) or next((c for start, c in _UNMARKED if part.payload.startswith(start)), "")
    return found or part.parameters.get("charset", "")


def with_parties(
    calendar: str, *, attendee: str, organizer: str, is_ours: Callable[[str], bool], sender: str = ""
) -> str:
    """Return *calendar* with the address *organizer* as organizer and the address *attendee* as the only attendee.

    A calendar client then sends "Accept" to *organizer* and to no one else, whatever METHOD says. Only a response to
    an invitation of ours keeps its organizer, and of its attendees *sender* (a verified address, or ""): a REPLY,
    COUNTER or REFRESH all of whose organizers are addresses for which *is_ours* returns True. Any other property or
    parameter with an address as a value of its own (``X-ORGANIZER``, ``CONTACT``, ``URL:mailto:…``) is left out, since
    some client may send responses there. Texts and ids stay, and a calendar without any of these is returned unchanged.
    """
    lines = _lines(calendar)
    if _is_response(lines, is_ours):
        kept = [line for line in lines if not line.is_party or line.name == "ORGANIZER" or line.address == sender]
    else:
        kept = list(_with_parties(lines, attendee, organizer, is_ours))
    changed = _OTHER_BREAKS.search(calendar) or [line.text for line in kept] != [line.text for line in lines]
    return "\r\n".join(_folded(line.text) for line in kept) if changed else calendar


class _Line:
    """One unfolded content line (RFC 5545 §3.1), read leniently."""

    def __init__(self, text: str) -> None:
        """Read the line *text*. A property may have a group (``item1.ATTENDEE``), as in a vCard."""
        self.text = text
        self.name = re.sub(r"[^A-Z0-9-]+", "", re.split("[:;]", text, maxsplit=1)[0].rpartition(".")[2].upper())
        value = _VALUE.match(text)
        self.head = text[: value.start(1)] if value else "".join(text.partition(":")[:2])
        self.value = text[len(self.head) :].strip()
        uri = _MAILTO.match(self.value)
        self.address = uri[1].lower() if uri else ""
        self.is_of_card = False  # of a vCard in front of a calendar: nobody sends a response to what stands there
        self.is_party = self.name in _PARTIES or (self.name not in _NO_ADDRESSES and _holds_address(self.value))

    def parameters(self, names: frozenset[str]) -> str:
        """Return the parameters called *names*, each with the semicolon before it, and no address in any."""
        found = _PARAMETER.findall(self.head)
        kept = ((name.upper(), value.strip().replace("@", " at ")) for name, value in found)
        return "".join(f";{name}={value}" for name, value in kept if name in names)

    def without_addresses(self) -> "_Line":
        """Return the line without parameters that hold an address, such as ``ALTREP="mailto:…"``."""
        head = _HEAD_PARAMETER.sub(lambda found: "" if _holds_address(found[1]) else found[0], self.head)
        return self if head == self.head else _Line(head + self.text[len(self.head) :])


def _holds_address(value: str) -> bool:
    return "mailto:" in value.lower() or ("@" in value and any(map(_ADDRESS.fullmatch, _LIST.split(value))))


def _is_response(lines: list[_Line], is_ours: Callable[[str], bool]) -> bool:
    methods = {line.value.upper() for line in lines if line.name == "METHOD"}
    organizers = [line.address for line in lines if line.name == "ORGANIZER"]
    return bool(methods and organizers) and methods <= _FROM_ATTENDEE and all(map(is_ours, organizers))


@dataclass(slots=True)
class _Component:
    """What was met so far of an open component (RFC 5545 §3.6)."""

    name: str
    is_organized: bool = False
    has_attendees: bool = False
    is_invited: bool = False  # ours is among the attendees


def _with_parties(lines: list[_Line], attendee: str, organizer: str, is_ours: Callable[[str], bool]) -> Iterator[_Line]:
    publishes = any(line.name == "METHOD" and line.value.upper() == "PUBLISH" for line in lines)
    components = [_Component("")]
    for line in lines:
        here = components[-1]
        if line.name == "ORGANIZER":
            here.is_organized = True
            yield _Line(f"ORGANIZER{line.parameters(_NAME)}:mailto:{organizer}")
        elif line.name == "ATTENDEE":
            here.has_attendees = True
            if is_ours(line.address) and not here.is_invited and here.name in _COMPONENTS:
                here.is_invited = True
                yield _Line(f"ATTENDEE{line.parameters(_KEPT)}:mailto:{attendee}")
        elif line.name == "BEGIN":
            components.append(_Component(line.value.upper()))
            yield line
        elif line.name == "END":
            expected = here.name in _COMPONENTS and (here.has_attendees or not publishes)
            if here.is_organized and expected and not here.is_invited:
                yield _Line(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}")
            components = components[:-1] or [_Component("")]
            yield line
        elif not line.is_party:
            yield line if line.is_of_card else line.without_addresses()


def _folded(line: str) -> str:
    """Fold *line* if it exceeds 75 bytes (RFC 5545 §3.1), every 36 characters: names may be in any script."""
    return "\r\n ".join(line[at : at + 36] for at in range(0, len(line), 36)) if len(line.encode()) > 75 else line  # noqa: PLR2004
