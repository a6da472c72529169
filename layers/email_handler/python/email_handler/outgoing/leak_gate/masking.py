"""Finding and replacing what must not leave, however it is written."""

from email_handler.outgoing.leak_gate.needles import BANNER, PRIVATE, TERM, THREAD, Needles
from email_handler.outgoing.leak_gate.views import (
    CHAINS,
    HTML_CHAINS,
    LINES,
    MARKUP,
    PERCENT,
    QUOTED,
    Decoding,
    decode,
    view,
)


def places(text: str, needles: Needles, *, markup: bool = False, plain: bool = False) -> tuple[str, ...]:
    """Return what *text* holds in any view (each of PRIVATE, THREAD, TERM, BANNER at most once). ``markup`` looks
    at it as HTML or XML too, ``plain`` only as it is."""
    found: dict[str, None] = {}
    for chain in ((),) if plain else HTML_CHAINS if markup else CHAINS:
        if (seen := decode(text, chain)) is not None:
            found |= dict.fromkeys(finding.what for finding in needles.find(seen))
    return tuple(found)


def mask(text: str, needles: Needles, contact: str, *, markup: bool = False) -> tuple[str, tuple[str, ...]]:
    """Return *text* without the owner's addresses (the public address stands in), hidden terms (removed) and thread
    addresses (*contact* stands in), and what was replaced. ``markup`` says that *text* is HTML.

    Sentinels are left: :mod:`banner` removes them with what they enclose.
    """
    replaced: dict[str, None] = {}
    for chain in HTML_CHAINS if markup else CHAINS:
        seen = decode(text, chain)
        if seen is None or not any(finding.what != BANNER for finding in needles.find(seen)):
            continue
        mapped = view(text, chain)
        edits: list[tuple[int, int, str]] = []
        for finding in needles.find(mapped.text):
            stand_in = {PRIVATE: needles.identity.public_address, THREAD: contact, TERM: ""}.get(finding.what)
            if stand_in is None:
                continue
            replaced[finding.what] = None
            ranges = list(mapped.sources(finding.start, finding.end))
            if (
                MARKUP not in chain and LINES not in chain
            ):  # what folding and soft breaks put between goes too; tags stay
                ranges = [(ranges[0][0], ranges[-1][1])]
            shown = _as_written(stand_in, mapped.text[finding.start : finding.end], chain)
            edits += [(start, end, "" if number else shown) for number, (start, end) in enumerate(ranges)]
        text = _edited(text, edits)
    return text, tuple(replaced)


def _as_written(stand_in: str, found: str, chain: tuple[Decoding, ...]) -> str:
    if PERCENT in chain or "%40" in found:
        return stand_in.replace("@", "%40")
    if QUOTED in chain or "=40" in found:
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
