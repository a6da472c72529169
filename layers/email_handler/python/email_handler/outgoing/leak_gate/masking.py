"""Finding and replacing what must not leave, however it is written."""

from email_handler.outgoing.leak_gate import views
from email_handler.outgoing.leak_gate.needles import BANNER, PRIVATE, TERM, THREAD, Needles


def found_in(text: str, needles: Needles, *, markup: bool = False, plain: bool = False) -> tuple[str, ...]:
    """Return which of PRIVATE, THREAD, TERM and BANNER *text* holds, in any view, each once.

    ``markup`` also reads *text* as HTML or XML; ``plain`` reads it only as it stands.
    """
    found: dict[str, None] = {}
    for chain in ((),) if plain else views.HTML_CHAINS if markup else views.CHAINS:
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
        if decoded is None or all(finding.what == BANNER for finding in needles.find(decoded)):
            continue
        seen = views.view(text, chain)
        edits: list[tuple[int, int, str]] = []
        for finding in needles.find(seen.text):
            if finding.what not in stand_ins:
                continue
            replaced[finding.what] = None
            ranges = seen.sources(finding.start, finding.end)
            if (
                views.MARKUP not in chain and views.LINES not in chain
            ):  # tags within an address stay, folds and soft breaks do not
                ranges = [(ranges[0][0], ranges[-1][1])]
            shown = _as_written(stand_ins[finding.what], seen.text[finding.start : finding.end], chain)
            edits += [(start, end, "" if number else shown) for number, (start, end) in enumerate(ranges)]
        text = _edited(text, edits)
    return text, tuple(replaced)


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
