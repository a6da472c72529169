"""The pieces that every email to the owner is made of, each as lines of text and as HTML: the same words in both.

What survives in mail clients decides their form: tables where Outlook needs a box, styles in each tag because Gmail drops
others, no picture, no web font. One sheet changes the colors for readers who prefer dark; clients without it show light.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from email_handler.values import dataclass

FONT = "-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Helvetica,Arial,sans-serif"
_SHOWN = "display:block!important;visibility:visible!important;opacity:1!important;"


@dataclass(frozen=True, slots=True)
class Colors:
    """Colors of a piece, as ``#rrggbb``: of its text, of what is behind it, and of its edge."""

    ink: str
    ground: str
    edge: str


LIGHT: Mapping[str, Colors] = {
    "page": Colors("#202124", "#ffffff", "#dadce0"),
    "dim": Colors("#5f6368", "#ffffff", "#dadce0"),
    "link": Colors("#1a56db", "#ffffff", "#dadce0"),
    "grave": Colors("#a50e0e", "#fce8e6", "#d93025"),
    "caution": Colors("#7a4f01", "#fef7e0", "#f9ab00"),
}
"""By piece, for readers who prefer light."""

DARK: Mapping[str, Colors] = {
    "page": Colors("#e8eaed", "#1b1c1e", "#3c4043"),
    "dim": Colors("#a8adb3", "#1b1c1e", "#3c4043"),
    "link": Colors("#8ab4f8", "#1b1c1e", "#3c4043"),
    "grave": Colors("#f6aea9", "#3b1d1b", "#ee675c"),
    "caution": Colors("#fdd663", "#3a2b12", "#f9ab00"),
}
"""By piece, for readers who prefer dark."""


class Tone(StrEnum):
    """How much a box wants to be seen."""

    GRAVE = "grave"  # the reader may be deceived
    CAUTION = "caution"  # something will not be as the reader expects


@dataclass(frozen=True, slots=True)
class Action:
    """What the reader may do: a link that opens a new email."""

    label: str
    url: str  # mailto:


@dataclass(frozen=True, slots=True)
class Heading:
    """What an email is about."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; ``dim`` for what few need."""

    text: str
    dim: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """A colored box: one thing that the reader must know, and perhaps a list."""

    tone: Tone
    title: str
    text: str
    entries: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One of several like things: what it is, who and when, its beginning, what was found, what to do."""

    title: str
    byline: str
    excerpt: str
    finding: str
    advice: str
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """A row of actions, at the end."""

    links: tuple[Action, ...]


type Piece = Heading | Paragraph | Box | Facts | Card | Actions


def as_text(pieces: Iterable[Piece]) -> str:
    """Return *pieces* as plain text, an empty line between two."""
    return "\n\n".join("\n".join(lines) for piece in pieces if (lines := text_lines(piece)))


def text_lines(piece: Piece) -> list[str]:
    """Return the lines of *piece* as plain text, none of them empty."""
    match piece:
        case Heading(text) | Paragraph(text):
            return [text]
        case Box(_, title, text, entries, actions):
            return [f"! {title}: {text}", *(f"- {entry}" for entry in entries), *_linked(actions)]
        case Facts(rows):
            return [f"{name}: {value}" for name, value in rows]
        case Card(title, byline, excerpt, finding, advice, actions):
            return [title, *(f"  {line}" for line in (byline, excerpt, finding, advice, *_linked(actions)) if line)]
        case Actions(links):
            return _linked(links)


def _linked(actions: Sequence[Action]) -> list[str]:
    return [f"{action.label}: {in_text(action)}" for action in actions]


def in_text(action: Action) -> str:
    """Return where *action* leads, for plain text: without what only fills the new email, since people read or hear it."""
    return action.url.partition("&body=")[0]


def as_html(pieces: Iterable[Piece]) -> str:
    """Return *pieces* as HTML, without the page around it."""
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: Piece) -> str:
    match piece:
        case Heading(text):
            return element(
                "h1", "page", "margin:0 0 12px;font-size:20px;line-height:27px;font-weight:600", escaped(text)
            )
        case Paragraph(text, dim):
            size = "font-size:13px;line-height:19px" if dim else "font-size:15px;line-height:22px"
            return element("p", "dim" if dim else "page", f"margin:0 0 12px;{size}", escaped(text))
        case Box():
            return _box(piece)
        case Facts(rows):
            return _facts(rows)
        case Card():
            return _card(piece)
        case Actions(links):
            return element("p", "dim", "margin:4px 0 0", buttons(links)) if links else ""


def row(actions: Sequence[Action]) -> str:
    """Return *actions* as HTML links in a row, each on one line."""
    return " &nbsp;·&nbsp; ".join(f'<span style="white-space:nowrap">{link(action)}</span>' for action in actions)


def buttons(actions: Sequence[Action]) -> str:
    """Return *actions* as HTML buttons: for a thumb, where an email is all about them. Clients that leave out the padding
    show links."""
    style = (
        "display:inline-block;margin:0 8px 8px 0;padding:7px 13px;border-radius:6px;font-size:14px;line-height:20px;"
        f"border:1px solid {LIGHT['page'].edge};color:{LIGHT['link'].ink};text-decoration:none;white-space:nowrap"
    )
    return "".join(
        f'<a class="our-link our-edge" href="{html.escape(action.url)}" style="{style}">{escaped(action.label)}</a>\r\n'
        for action in actions
    )


def link(action: Action) -> str:
    """Return *action* as an HTML link."""
    return (
        f'<a class="our-link" href="{html.escape(action.url)}" '
        f'style="color:{LIGHT["link"].ink};text-decoration:underline">{escaped(action.label)}</a>'
    )


def strong(text: str) -> str:
    """Return *text* of somebody else as HTML that stands out from what is around it, in its own direction."""
    return f'<b class="our-page" dir="auto" style="color:{LIGHT["page"].ink};font-weight:600">{escaped(text)}</b>'


def escaped(text: str) -> str:
    """Return *text* as HTML, its lines apart."""
    return html.escape(text).replace("\n", "<br>\r\n")


def element(name: str, piece: str, style: str, content: str, attributes: str = "") -> str:
    """Return an HTML element of one of the colored pieces: it has a ground of its own, so that its text is readable
    whatever a client or a page around it makes of the rest."""
    colors = LIGHT[piece]
    return (
        f'<{name} class="our-{piece}"{attributes} style="{_SHOWN}{style};font-family:{FONT};color:{colors.ink};'
        f'background:{colors.ground}">{content}</{name}>\r\n'
    )


def _table(piece: str, cell: str, content: str, margin: str = "0 0 10px") -> str:
    """Return a box as Outlook knows it: the cell of a table."""
    colors = LIGHT[piece]
    return (
        f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" '
        f'style="margin:{margin};border-collapse:separate"><tbody><tr><td class="our-{piece}" '
        f'style="{cell};font-family:{FONT};color:{colors.ink};background:{colors.ground}">\r\n{content}</td></tr></tbody></table>\r\n'
    )


def _box(box: Box) -> str:
    style = "margin:0;font-size:14px;line-height:20px"
    content = element("div", box.tone, f"{style};font-weight:600", escaped(box.title))
    content += element("div", box.tone, style, escaped(box.text))
    content += "".join(element("div", box.tone, style, f"- {escaped(entry)}") for entry in box.entries)
    if box.actions:
        content += element("div", box.tone, f"{style};margin-top:6px", row(box.actions))
    return _table(box.tone, f"padding:10px 12px;border-left:4px solid {LIGHT[box.tone].edge}", content)


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    if not rows:
        return ""
    style = f"font-family:{FONT};font-size:14px;line-height:20px;vertical-align:top"
    cells = "".join(
        f'<tr><th scope="row" class="our-dim" style="{style};padding:3px 14px 3px 0;font-weight:400;text-align:left;'
        f'color:{LIGHT["dim"].ink}">{escaped(name)}</th>'
        f'<td class="our-page" dir="auto" style="{style};padding:3px 0;word-break:break-word;'
        f'color:{LIGHT["page"].ink}">{escaped(value)}</td></tr>\r\n'
        for name, value in rows
    )
    return f'<table cellpadding="0" cellspacing="0" border="0" style="margin:4px 0 16px"><tbody>\r\n{cells}</tbody></table>\r\n'


def _card(card: Card) -> str:
    def line(piece: str, style: str, text: str) -> str:
        return element("div", piece, f"margin:0;{style}", text, ' dir="auto"') if text else ""

    content = (
        line("page", "font-size:15px;line-height:21px;font-weight:600", escaped(card.title))
        + line("dim", "font-size:13px;line-height:19px", escaped(card.byline))
        + line("dim", "font-size:14px;line-height:20px;padding:8px 0 0", escaped(card.excerpt))
        + line("page", "font-size:14px;line-height:20px;padding:8px 0 0", escaped(card.finding))
        + line("dim", "font-size:13px;line-height:19px;padding:8px 0 0;word-break:break-word", escaped(card.advice))
        + line("dim", "padding:10px 0 0", buttons(card.actions))
    )
    border = f"padding:12px 14px 4px;border:1px solid {LIGHT['page'].edge};border-radius:8px"
    return _table("page", border, content, "0 0 12px")


def sheet() -> str:
    """Return the CSS that gives the pieces their dark colors."""
    rules = "".join(
        f".our-{name}{{color:{colors.ink}!important;background-color:{colors.ground}!important;"
        f"border-color:{colors.edge}!important}}"
        for name, colors in DARK.items()
        if name != "link"  # it stands on the ground of others
    )
    link = f".our-link{{color:{DARK['link'].ink}!important}}.our-edge{{border-color:{DARK['page'].edge}!important}}"
    return f":root{{color-scheme:light dark}}\r\n@media (prefers-color-scheme:dark){{{rules}{link}}}"


# Phones make links of what looks like a number, a date or a place. Apple's documentation names these; others ignore them.
_NO_LINKS = '<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">'
_PREVIEWED = 140  # characters that clients show beside the subject
_WIDEST = 732  # CSS pixels of a page: longer lines are hard to read, and no newsletter is wider


def page(body: str, *, title: str, preview: str, links: bool = True, theirs: str = "") -> str:
    """Return an HTML page with *body* (HTML).

    *title* and *preview* are text: what a list of messages shows beside the subject, not shown in the page. *links* says
    whether phones may make links of what looks like one, *theirs* is further CSS.
    """
    head = (
        f'<!DOCTYPE html>\r\n<html lang="en" dir="ltr"><head><meta charset="utf-8">\r\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\r\n'
        f'<meta name="color-scheme" content="light dark"><meta name="supported-color-schemes" content="light dark">\r\n'
        f"{'' if links else _NO_LINKS}<title>{html.escape(title)}</title>\r\n"
        f"<style>\r\n{sheet()}\r\n</style>\r\n" + (f"<style>\r\n{theirs}\r\n</style>\r\n" if theirs else "")
    )
    colors = LIGHT["page"]
    style = f"margin:0;padding:12px 14px;max-width:{_WIDEST}px;color:{colors.ink};background:{colors.ground}"
    return f'{head}</head><body class="our-page" style="{style}">\r\n{_preview(preview)}{body}</body></html>\r\n'


def _preview(words: str) -> str:
    """Return *words* where only a list of messages shows them, and blanks that keep what follows out of it."""
    if not words:
        return ""
    style = "display:none;max-height:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;color:#ffffff"
    blanks = "&zwnj;&nbsp;" * max(0, _PREVIEWED - len(words))
    return f'<div dir="auto" aria-hidden="true" style="{style}">{html.escape(words)} {blanks}</div>\r\n'
