"""The contact's words as HTML, in a frame that nothing of theirs leaves, and the page around it."""

import html
import re
from itertools import groupby

from email_handler.mail.confinement import Confined
from email_handler.mail.patterns import regex
from email_handler.mail.urls import link_url
from email_handler.mail.writer import one_line
from email_handler.outgoing import pieces
from email_handler.outgoing.sentinels import defused, reads_as_banner

MAX_TEXT = 100_000  # characters of plain text that are also shown as HTML; Gmail cuts pages at 102 kB
_PREVIEWED = 140  # characters that clients show beside the subject
_MAX_QUOTED = 20  # levels of quotation

# A page with colors or pictures of its own was made for white paper. Everything else is set like our own text, and is dark
# where the reader prefers that.
_DESIGNED = regex("color|background|<img|<font", re.IGNORECASE)
_EDGE = pieces.LIGHT["page"].edge
# Nothing in it can close the frame: a cell ends what is left open or closed too often, and no <section> is confined. It
# grows with a newsletter of fixed width, but not so wide that a phone would shrink the banner with it. No language is
# known of what is in it.
_FRAME = (
    '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
    'style="border:1px solid {edge};border-radius:8px;border-collapse:separate"{kind}><tbody><tr>'
    '<td lang="" dir="{direction}" style="padding:12px 14px;vertical-align:top;{style}"{kind}>'
    '<section style="display:block;max-width:700px;overflow-x:auto;overflow-y:hidden">\r\n'
)
_FRAME_END = "\r\n</section></td></tr></tbody></table>\r\n"
_PAPER = f"font-family:{pieces.FONT};background:#ffffff;color:#000000;color-scheme:only light;border-radius:8px"
_OURS = (
    f"font-family:{pieces.FONT};font-size:15px;line-height:22px;color:{pieces.LIGHT['page'].ink};"
    f"background:{pieces.LIGHT['page'].ground};border-radius:8px"
)


def page(
    theirs: Confined, *, plain: bool = False, above: str = "", below: str = "", subject: str = "", words: str = ""
) -> str:
    """Return an HTML page: *above* (HTML of ours), under it the contact's confined HTML in a frame, and *below*.

    *plain* says that it is from :func:`from_text`, in our own colors.
    *words* are those that a list of messages shows beside the *subject* (:func:`first_words`).
    """
    return pieces.page(above + _framed(theirs, plain) + below, title=subject, preview=words, theirs=theirs.sheet)


def _framed(theirs: Confined, plain: bool) -> str:
    if not plain and (theirs.sheet or _DESIGNED.search(theirs.body)):
        frame = _FRAME.format(edge=_EDGE, kind="", direction="ltr", style=_PAPER)
    else:
        frame = _FRAME.format(edge=_EDGE, kind=' class="our-page"', direction="auto", style=_OURS)
    return f"{frame}{theirs.body}{_FRAME_END}"


def first_words(text: str) -> str:
    """Return the first words of a contact's *text*, for a list of messages; "" if they read like words of ours."""
    found = one_line(text, _PREVIEWED)
    return "" if reads_as_banner(found) else found


def from_text(text: str) -> Confined:
    """Return plain *text* (flowed text unflowed) as confined HTML: paragraphs, quotations and links as a client shows
    them, each paragraph in its own direction."""
    lines = defused(text.replace("\r\n", "\n")).split("\n")
    return Confined(body=f"<article>{_paragraphs(lines, 0)}</article>", sheet="", shows=bool(text.strip()))


def _paragraphs(lines: list[str], level: int) -> str:
    shown: list[str] = []
    for quoted, run in groupby(lines, key=lambda line: level < _MAX_QUOTED and line.startswith(">")):
        if quoted:
            inner = _paragraphs([line[1:].removeprefix(" ") for line in run], level + 1)
            style = f"margin:{_above(shown)};padding:0 0 0 10px;border-left:2px solid {_EDGE}"
            shown.append(f'<blockquote style="{style}">\r\n{inner}</blockquote>\r\n')
            continue
        for blank, paragraph in groupby(run, key=lambda line: not line.strip()):
            if not blank:
                text = "<br>\r\n".join(map(_line, paragraph))
                shown.append(f'<p dir="auto" style="margin:{_above(shown)}">{text}</p>\r\n')
    return "".join(shown)


def _above(shown: list[str]) -> str:
    return "12px 0 0" if shown else "0"


_URL = regex(r"https?://[^\s<>\"]{1,2000}[^\s<>\".,;:!?'()\[\]{}]", re.IGNORECASE)
_SPACES = regex(r"^ | (?= )")


def _line(line: str) -> str:
    line = line.rstrip().expandtabs(4)
    chunks: list[str] = []
    position = 0
    for match in _URL.finditer(line):
        link = pieces.link(pieces.Action(match[0], link_url(match[0])))
        chunks += (_escaped(line[position : match.start()]), link)
        position = match.end()
    return "".join((*chunks, _escaped(line[position:])))


def _escaped(text: str) -> str:
    return _SPACES.sub("\xa0", html.escape(text, quote=False)).replace("\xa0", "&nbsp;")
