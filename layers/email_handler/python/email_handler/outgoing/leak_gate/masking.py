"""Finding and replacing what must not leave, however it is written."""

from email_handler.outgoing.leak_gate import views
from email_handler.outgoing.leak_gate.needles import PRIVATE, TERM, THREAD, Finding, Needles


def found_in(text: str, needles: Needles, *, markup: bool = False) -> tuple[str, ...]:
    """Return which of PRIVATE, THREAD, TERM and BANNER *text* holds, in any view, each once.

    ``markup`` also reads *text* as HTML or XML.
    """
    found: dict[str, None] = {}
    for chain in views.HTML_CHAINS if markup else views.CHAINS:
        if (seen := views.decode(text, chain)) is not None:
            found |= dict.fromkeys(finding.what for finding in needles.find(seen))
    return tuple(found)


def mask(text: str, needles: Needles, contact: str, *, markup: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return *text* masked, and what was replaced (PRIVATE, THREAD, TERM). ``markup`` means that *text* is HTML.

    The public address replaces the owner's addresses and *contact* replaces thread addresses; hidden terms are
    removed. Sentinels stay: :mod:`banner_removal` removes them together with the banner.
    """
    stand_ins = {PRIVATE: needles.identity.public_address, THREAD: contact, TERM: ""}
    replaced: dict[str, None] = {}
    for chain in views.HTML_CHAINS if markup else views.CHAINS:
        decoded = views.decode(text, chain)
        if decoded is not None and any(finding.what in stand_ins for finding in needles.find(decoded)):
            seen = views.view(text, chain)
            findings = [finding for finding in needles.find(seen.text) if finding.what in stand_ins]
            replaced |= dict.fromkeys(finding.what for finding in findings)
            edits = [edit for finding in findings for edit in _edits(seen, finding, stand_ins[finding.what], chain)]
            text = _edited(text, edits)
    return text, tuple(replaced)


def _edits(seen: views.View, finding: Finding, stand_in: str, chain: views.Chain) -> list[tuple[int, int, str]]:
    """Return which ranges of the source become what, so that *stand_in* replaces *finding*."""
    ranges = seen.sources(finding.start, finding.end)
    if views.MARKUP not in chain and views.LINES not in chain:  # tags within an address stay, folds do not
        ranges = [(ranges[0][0], ranges[-1][1])]
    shown = _as_written(stand_in, seen.text[finding.start : finding.end], chain)
    return [(start, end, "" if number else shown) for number, (start, end) in enumerate(ranges)]


def _as_written(stand_in: str, found: str, chain: views.Chain) -> str:
    """Return *stand_in* encoded as *found* was, so that a link stays a link."""
    if views.PERCENT in chain or "%40" in found:
        return stand_in.replace("@", "%40")
    if views.QUOTED in chain or "=40" in found:
        return stand_in.replace("@", "=40")
    return stand_in


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    chunks: list[str] = []
    position = 0
    for start, end, stand_in in edits:
        if start >= position:
            chunks += (text[position:start], stand_in)
            position = end
    return "".join((*chunks, text[position:]))
