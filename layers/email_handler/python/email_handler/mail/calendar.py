"""Invitations (RFC 5545, RFC 5546): turned so that the owner's answer comes to the thread address."""

import re

_OURS_TO_ANSWER = frozenset(("REQUEST", "CANCEL", "ADD", "DECLINECOUNTER", ""))
_METHOD = re.compile(r"^METHOD:[ \t]*([A-Za-z]*)", re.MULTILINE | re.IGNORECASE)
_FOLD = re.compile(r"\r?\n[ \t]")
_NAME = re.compile(r'CN=("[^"]*"|[^;:]*)', re.IGNORECASE)
_MAILTO = re.compile(r":\s*mailto:\s*([^\s;]*)\s*$", re.IGNORECASE)


def for_owner(calendar: str, public_address: str, thread_address: str) -> str:
    """Return *calendar* with the thread address as organizer and *public_address* as the only attendee.

    So the owner's client sends "Accept" to the thread address, and to nobody past it. Calendars that nobody answers
    (METHOD PUBLISH, events without organizer) and answers to the owner's own invitations (REPLY, REFRESH, COUNTER)
    are left as they are.
    """
    method = _METHOD.search(calendar)
    if (method[1].upper() if method else "") not in _OURS_TO_ANSWER:
        return calendar
    kept: list[str] = []
    organised = invited = False
    for line in re.split(r"\r?\n(?![ \t])", calendar):
        name = line[:9].upper()
        if name.startswith("ORGANIZER") and line[9:10] in {":", ";"}:
            whole = _FOLD.sub("", line)
            shown = _NAME.search(whole)
            organised = True
            kept.append(_folded(f"ORGANIZER{';' + shown[0] if shown else ''}:mailto:{thread_address}"))
        elif name.startswith("ATTENDEE") and line[8:9] in {":", ";"}:
            address = _MAILTO.search(_FOLD.sub("", line))
            if address and _untagged(address[1]) == public_address.lower() and not invited:
                kept.append(line)
                invited = True
        else:
            if name.startswith(("END:VEVEN", "END:VTODO")):
                if organised and not invited:
                    kept.append(_folded(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{public_address}"))
                organised = invited = False
            kept.append(line)
    return "\r\n".join(kept)


def _untagged(address: str) -> str:
    local, _, domain = address.lower().partition("@")
    return f"{local.partition('+')[0]}@{domain}"


def _folded(line: str) -> str:
    """Fold at 75 octets (RFC 5545 §3.1); lines of ours may hold a name in any script."""
    return "\r\n ".join(line[at : at + 36] for at in range(0, len(line), 36)) if len(line.encode()) > 75 else line  # noqa: PLR2004
