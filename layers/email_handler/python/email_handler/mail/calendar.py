"""Invitations (RFC 5545, RFC 5546): replacing the organizer and the attendees."""

import re

from email_handler.mail.addresses import split_tag

_FROM_ORGANIZER = frozenset(("REQUEST", "CANCEL", "ADD", "DECLINECOUNTER", ""))
_METHOD = re.compile(r"^METHOD:[ \t]*([A-Za-z]*)", re.MULTILINE | re.IGNORECASE)
_FOLD = re.compile(r"\r?\n[ \t]")
_NAME = re.compile(r'CN=("[^"]*"|[^;:]*)', re.IGNORECASE)
_MAILTO = re.compile(r":\s*mailto:\s*([^\s;]*)\s*$", re.IGNORECASE)


def with_parties(calendar: str, attendee: str, organizer: str) -> str:
    """Return *calendar* with the address *organizer* as organizer and the address *attendee* as the only attendee.

    A calendar client then sends "Accept" to *organizer* and to no one else. Unchanged are calendars that expect no
    response (METHOD PUBLISH, events without an organizer) and those that attendees send (REPLY, REFRESH, COUNTER).
    """
    method = _METHOD.search(calendar)
    if (method[1].upper() if method else "") not in _FROM_ORGANIZER:
        return calendar
    kept: list[str] = []
    organized = invited = False
    for line in re.split(r"\r?\n(?![ \t])", calendar):
        name = line[:9].upper()
        if name.startswith("ORGANIZER") and line[9:10] in {":", ";"}:
            display_name = _NAME.search(_FOLD.sub("", line))
            organized = True
            kept.append(_folded(f"ORGANIZER{';' + display_name[0] if display_name else ''}:mailto:{organizer}"))
        elif name.startswith("ATTENDEE") and line[8:9] in {":", ";"}:
            address = _MAILTO.search(_FOLD.sub("", line))
            if address and split_tag(address[1])[0].lower() == attendee.lower() and not invited:
                kept.append(line)
                invited = True
        else:
            if name.startswith(("END:VEVEN", "END:VTODO")):
                if organized and not invited:
                    kept.append(_folded(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}"))
                organized = invited = False
            kept.append(line)
    return "\r\n".join(kept)


def _folded(line: str) -> str:
    """Fold *line* if it exceeds 75 bytes (RFC 5545 §3.1), every 36 characters: names may be in any script."""
    return "\r\n ".join(line[at : at + 36] for at in range(0, len(line), 36)) if len(line.encode()) > 75 else line  # noqa: PLR2004
