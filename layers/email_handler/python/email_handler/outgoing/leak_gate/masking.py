"""Finding and replacing what must not leave, however it is written."""

from collections.abc import Iterator
from typing import NamedTuple

from email_handler.mail.documents.reading import BOUNDARY, KERN
from email_handler.outgoing.leak_gate import decodings, views
from email_handler.outgoing.leak_gate.needles import PRIVATE, TERM, THREAD, Needles

_ROUNDS = 20  # encodings in which one text is masked; what is left then is held
_SHOWN = 200  # characters of a passage that are reported


class Replaced(NamedTuple):
    """One passage that was replaced."""

    what: str  # PRIVATE, THREAD or TERM
    before: str  # decoded, on one line
    after: str


def found_in(text: str, needles: Needles, *, markup: bool = False, name: bool = False) -> tuple[str, ...]:
    """Return which of PRIVATE, THREAD, TERM and BANNER the first passage of *text* holds that holds any, however it is
    written.

    ``markup`` also reads *text* as HTML or XML; *name* says that it is the name of a file, whose words are joined.
    """
    for window in views.windows(text):
        for _, decoded in views.chains(window, markup=markup):
            if found := next(_kinds(decoded, needles, name=name), None):
                return found
    return ()


def mask(
    text: str, needles: Needles, contact: str, *, markup: bool = False, name: bool = False
) -> tuple[str, tuple[Replaced, ...]]:
    """Return *text* masked, and what was replaced, each passage once. ``markup`` means that *text* is HTML.

    The public address replaces the owner's addresses and *contact* replaces thread addresses; hidden terms are
    removed. Sentinels stay: :mod:`banner_removal` removes them together with the banner.
    """
    stand_ins = {PRIVATE: needles.identity.public_address, THREAD: contact, TERM: ""}
    replaced: dict[Replaced, None] = {}
    for _ in range(_ROUNDS):
        masked = _masked_once(text, needles, stand_ins, replaced, markup=markup, name=name)
        if masked == text:
            break
        text = masked
    return text, tuple(replaced)


def _masked_once(
    text: str, needles: Needles, stand_ins: dict[str, str], replaced: dict[Replaced, None], *, markup: bool, name: bool
) -> str:
    """Return *text* with everything replaced that is found in the first way of decoding it in which anything is."""
    for chain, decoded in views.chains(text, markup=markup):
        if all(stand_ins.keys().isdisjoint(found) for found in _kinds(decoded, needles, name=name)):
            continue  # a view takes long
        seen = views.view(text, (*chain, decodings.LETTERS, decodings.UNSEEN))
        findings = [finding for finding in needles.find(seen.text, name=name) if finding.what in stand_ins]
        edits: list[tuple[int, int, str]] = []
        for finding in findings:
            before = seen.text[finding.start : finding.end]
            stand_in = stand_ins[finding.what]
            replaced[Replaced(finding.what, _one_line(before), stand_in)] = None
            ranges = seen.shown(finding.start, finding.end)
            if not {*decodings.TAGS} & {*chain}:  # tags within an address stay, folds and soft breaks do not
                ranges = [(ranges[0][0], ranges[-1][1])]
            shown = _as_written(stand_in, text[ranges[0][0] : ranges[-1][1]], before, chain)
            edits += [(start, end, "" if number else shown) for number, (start, end) in enumerate(ranges)]
        if edits:
            return _edited(text, edits)
    return text


def _kinds(decoded: str, needles: Needles, *, name: bool) -> Iterator[tuple[str, ...]]:
    """Yield what each passage of *decoded* holds that holds anything."""
    for close in views.near(decoded, needles.may_be_in):
        if found := needles.find(views.normal(close), name=name):
            yield tuple(dict.fromkeys(finding.what for finding in found))


def _one_line(passage: str) -> str:
    return " ".join(passage.replace(BOUNDARY, "").replace(KERN, "").split())[:_SHOWN]


def _as_written(stand_in: str, source: str, found: str, chain: decodings.Chain) -> str:
    """Return *stand_in* encoded as *source* was, so that a link stays a link."""
    kinds = {decodings.PERCENT, decodings.MIXED, decodings.MIXED_QUOTED} & set(chain)
    if "%40" in found or (kinds and "%" in source):
        return stand_in.replace("@", "%40")
    if "=40" in found or (decodings.QUOTED in chain and "=" in source):
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
