"""A contact's HTML, rebuilt so that it can be shown below something of ours and cannot reach it.

The text is read as tokens and written anew as a tree of known elements with known attributes, each closed by its own end
tag in every browser: no ``</div>`` or ``</table>`` too many can be left, and nothing stays open. The rules are those of
the tree that browsers build (HTML §13.2.6), as far as mail needs them. What is not known is left out, its text stays.
Browsers' trees are not built as such: formatting elements that are left open multiply in them (27 kB become 28 MB), and
time grows with the square of the nesting.
"""

import html
from collections import Counter
from collections.abc import Callable, Collection, Sequence

from email_handler.mail import css
from email_handler.mail.entities import unescape
from email_handler.mail.markup import Kind, attributes, tokens
from email_handler.mail.patterns import regex
from email_handler.mail.urls import link_url, picture_url
from email_handler.values import dataclass

MAX_CONFINED = 2_000_000  # characters of HTML; of longer ones clients show a small part anyway
MAX_CSS = 200_000  # characters of CSS that are read; Gmail takes 16 kB
MAX_OPEN = 150  # elements within each other; of deeper ones only the contents are kept
MAX_REOPENED = 5  # formatting elements opened again behind the end of an element around them
SCOPE = "theirs"
"""Class of the element that stands for the contact's ``<body>``."""

type Rewording = Callable[[Sequence[str]], Sequence[str]]
"""Takes runs of text that a reader sees as one and returns as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confined:
    """Confined HTML. ``body`` is balanced and stays within any element whose name is not in it, such as ``section``."""

    body: str
    sheet: str  # CSS whose every rule applies only within an element of class SCOPE
    shows: bool  # whether there is any text or picture


def confine(page: str, reworded: Rewording = lambda runs: runs) -> Confined:
    """Return *page* (any text of at most MAX_CONFINED characters) confined. Takes linear time.

    *reworded* may change the text: it gets all of its runs, since a word may be spread over several; first without and
    then with what stands in place of pictures that a client blocks.
    """
    tree = _Tree()
    for kind, name, text in tokens(page):
        if kind is Kind.START:
            tree.start(name, text)
        elif kind is Kind.END:
            tree.end(name)
        elif kind is Kind.TEXT or name in ("textarea", "xmp"):
            tree.text(unescape(text))
        elif name == "style":
            tree.style(text)
    tree.finish()
    for seen in (tree.texts, sorted(tree.texts + tree.alternatives)):
        for at, run in zip(seen, reworded([tree.written[at] for at in seen]), strict=True):
            tree.written[at] = run
    for at in tree.texts:
        tree.written[at] = html.escape(tree.written[at], quote=False)
    for at in tree.alternatives:
        tree.written[at] = html.escape(tree.written[at])
    body = "".join(tree.written)
    root = _attributes_text("article", tree.root | {"style": _root_style(tree.root)}, css.inline, (SCOPE,))
    return Confined(
        body=f"<article{root}>{body}</article>",
        sheet="\n".join(filter(None, (css.scoped(sheet, f".{SCOPE}") for sheet in tree.sheets))),
        shows=tree.shows,
    )


def _root_style(root: dict[str, str]) -> str:
    """Return the style of the element that stands for ``<body>``, with what the attributes of that say."""
    colors = {"background-color": root.get("bgcolor", ""), "color": root.get("text", "")}
    said = [f"{name}:{'#' if _BARE.fullmatch(color) else ''}{color}" for name, color in colors.items() if color]
    if (picture := picture_url(root.get("background", ""))) != "":
        said.append(f'background-image:url("{picture}")')
    return ";".join(("display:block", *said, root.get("style", "")))


_BARE = regex("[0-9a-fA-F]{6}")

_TABLE_PARTS = {  # where each may stand, and what is opened for it there if it is missing
    "caption": ("table",),
    "colgroup": ("table",),
    "col": ("colgroup", "table"),
    "tbody": ("table",),
    "thead": ("table",),
    "tfoot": ("table",),
    "tr": ("tbody", "thead", "tfoot", "table"),
    "td": ("tr",),
    "th": ("tr",),
}
_BETWEEN_CELLS = frozenset(("table", "tbody", "thead", "tfoot", "tr", "colgroup"))
_CELLS = frozenset(("td", "th", "caption"))
_TABLE = frozenset(("table",))
_FORMATTING = frozenset(("a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"))
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_LISTED = {"li": frozenset(("li",)), "dd": frozenset(("dd", "dt")), "dt": frozenset(("dd", "dt"))}
_BLOCKS = _HEADINGS | frozenset(
    ("address", "blockquote", "center", "dd", "div", "dl", "dt", "figcaption", "figure", "li", "ol", "p", "pre", "ul")
)
_INLINE = _FORMATTING | frozenset(
    ("abbr", "bdi", "bdo", "cite", "del", "dfn", "ins", "kbd", "mark", "q", "samp", "span", "sub", "sup", "var")
)
_EMPTY = frozenset(("br", "col", "hr", "img", "wbr"))
_KNOWN = _BLOCKS | _INLINE | _EMPTY | _TABLE_PARTS.keys() | {"table"}
_CLOSES_PARAGRAPH = (_BLOCKS - {"dd", "dt", "li"}) | {"dd", "dt", "hr", "li", "table"}
_AS = {  # elements that look like known ones
    **dict.fromkeys(
        (
            "article", "aside", "dialog", "details", "dir", "fieldset", "footer", "form", "header", "hgroup", "legend",
            "main", "menu", "nav", "search", "section", "summary", "title-card",
        ),
        "div",
    ),
    "acronym": "abbr",
    "bdo": "bdi",  # it would show words backwards, past any reading of them
    "listing": "pre",
    "plaintext": "pre",
    "xmp": "pre",
    "textarea": "pre",
}  # fmt: skip
_HIDDEN_CONTENTS = frozenset(("template", "select", "datalist"))


class _Tree:
    """The elements that are open, and what has been written."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.texts: list[int] = []  # which of these are runs of text
        self.alternatives: list[int] = []  # and which stand in place of pictures
        self.open: list[tuple[str, str]] = []  # name and start tag
        self.counts: Counter[str] = Counter()  # of each name in it
        self.root: dict[str, str] = {}  # attributes of <html> and <body>
        self.sheets: list[str] = []
        self.css = MAX_CSS  # characters that may still be read
        self.styles: dict[str, str] = {}  # style attributes already read
        self.shows = False

    def text(self, text: str) -> None:
        text = text.replace("\0", "")
        if not text:
            return
        self.shows = self.shows or not text.isspace()
        self.texts.append(len(self.written))
        self.written.append(text)

    def style(self, sheet: str) -> None:
        if len(sheet) <= self.css:
            self.css -= len(sheet)
            self.sheets.append(sheet)

    def start(self, name: str, given: str) -> None:
        if name in ("html", "body"):
            for key, value in attributes(given, css.MAX_STYLE).items():
                both = f"{value};{self.root[key]}" if key == "style" and key in self.root else value
                self.root[key] = both if key == "style" else self.root.get(key, value)
            return
        name = _AS.get(name, name)
        if name not in _KNOWN or not self._place(name):
            return
        found = attributes(given, MAX_CONFINED if name == "img" else css.MAX_STYLE) if given.strip() else {}
        if name == "img" and not picture_url(found.get("src", "")):
            self.text(found.get("alt", ""))
            return
        tag = f"<{name}{_attributes_text(name, found, self._inline)}>"
        if name == "img" and (alternative := _word(found.get("alt", ""))):
            self.alternatives.append(len(self.written) + 1)
            self.written += (f'{tag[:-1]} alt="', alternative, '">')
            self.shows = True
        elif name in _EMPTY:
            self.shows = self.shows or name == "img"
            self.written.append(tag)
        elif len(self.open) < MAX_OPEN:
            self._push(name, tag)

    def _inline(self, style: str) -> str:
        if style not in self.styles:
            if len(style) > self.css:
                return ""
            self.css -= len(style)
            self.styles[style] = css.inline(style)
        return self.styles[style]

    def _place(self, name: str) -> bool:
        """Close what *name* closes and open what it needs. Return whether it may stand here then."""
        if name in _TABLE_PARTS:
            return self._place_in_table(name)
        if (
            name == "table" and self._find(_BETWEEN_CELLS, _CELLS) is not None
        ):  # also within what browsers move before it
            self._pop(self._find(_TABLE, frozenset()))
        if name in _LISTED:
            self._close_listed(_LISTED[name])
        if name in _CLOSES_PARAGRAPH:
            self._pop(self._find(("p",), _CELLS | _TABLE))
        if name in _HEADINGS and self.open and self.open[-1][0] in _HEADINGS:
            self._pop(len(self.open) - 1)
        elif name == "a":
            self._pop(self._find(("a",), _CELLS))
        return True

    def _place_in_table(self, name: str) -> bool:
        around = _TABLE_PARTS[name]
        if self._find(_TABLE, frozenset()) is None or len(self.open) >= MAX_OPEN - 1:
            return False
        at = self._find(around, _TABLE - set(around))
        if at is None:  # only a cell's row can be missing: rows and groups may stand in the table itself
            self._pop_above(self._find(("tbody", "thead", "tfoot", "table"), frozenset()))
            self._push("tr", "<tr>")
        else:
            self._pop_above(at)
        return True

    def _close_listed(self, names: frozenset[str]) -> None:
        for at in range(len(self.open) - 1, -1, -1):
            name = self.open[at][0]
            if name in names:
                self._pop(at)
                return
            if name not in _INLINE and name not in ("address", "div", "p"):
                return

    def _find(self, names: Collection[str], barriers: frozenset[str]) -> int | None:
        """Return where the innermost open element of *names* is, None if there is none before one of *barriers*."""
        if not any(self.counts[name] for name in names):
            return None
        for at in range(len(self.open) - 1, -1, -1):
            if self.open[at][0] in names:
                return at
            if self.open[at][0] in barriers:
                return None
        return None

    def _push(self, name: str, tag: str) -> None:
        self.open.append((name, tag))
        self.counts[name] += 1
        self.written.append(tag)

    def _pop(self, at: int | None) -> None:
        """Close the open elements from *at* on."""
        if at is not None:
            closed = [name for name, _ in reversed(self.open[at:])]
            self.written += [f"</{name}>" for name in closed]
            self.counts.subtract(closed)
            del self.open[at:]

    def _pop_above(self, at: int | None) -> None:
        self._pop(None if at is None else at + 1)

    def end(self, name: str) -> None:
        name = _AS.get(name, name)
        if name == "br":
            self.start("br", "")
        if name not in _KNOWN or name in _EMPTY:
            return
        in_table = name == "table" or name in _TABLE_PARTS
        at = self._find((name,), _TABLE if in_table else _CELLS | _TABLE)
        if at is None:
            return
        above = self.open[at + 1 :]
        inline = all(inner in _INLINE for inner, _ in above)
        if name in _INLINE and not inline and (name not in _FORMATTING or len(above) > MAX_REOPENED):
            return  # browsers ignore it within a block, unless it ends formatting
        self._pop(at)
        if name in _INLINE:
            for inner, tag in above[:MAX_REOPENED]:
                self._push(inner, tag)

    def finish(self) -> None:
        self._pop(0)


def _length(value: str) -> str:
    digits = value.strip().removesuffix("px")
    number = digits.removesuffix("%")
    return digits if number.isascii() and number.isdecimal() and len(number) <= _DIGITS else ""


_DIGITS = 4


def _word(value: str) -> str:
    return value if len(value) <= _NAMES and value.isprintable() else ""


_NAMES = 1000

_ANYWHERE: dict[str, Callable[[str], str]] = {
    "align": _word,
    "bgcolor": _word,
    "class": _word,
    "dir": _word,
    "height": _length,
    "id": _word,
    "lang": _word,
    "valign": _word,
    "width": _length,
}
_OF: dict[str, dict[str, Callable[[str], str]]] = {
    "a": {"href": link_url, "name": _word},
    "font": {"color": _word, "face": _word, "size": _word},
    "hr": {"color": _word, "size": _length},
    "img": {"border": _length, "hspace": _length, "src": picture_url, "vspace": _length},
    "li": {"type": _word, "value": _length},
    "ol": {"start": _length, "type": _word},
    "table": {
        "background": picture_url,
        "border": _length,
        "bordercolor": _word,
        "cellpadding": _length,
        "cellspacing": _length,
        "role": _word,
    },
    "td": {"background": picture_url, "colspan": _length, "nowrap": str, "rowspan": _length},
    "tr": {"background": picture_url},
    "ul": {"type": _word},
}
_OF["th"] = _OF["td"]


def _attributes_text(
    name: str, found: dict[str, str], inline: Callable[[str], str], classes: tuple[str, ...] = ()
) -> str:
    """Return the attributes of element *name* that are known, as they are written into its start tag."""
    kept: dict[str, str] = {"class": " ".join((*classes, found.get("class", ""))).strip()} if classes else {}
    allowed = _OF.get(name, {})
    for key, value in found.items():
        check = allowed.get(key) or _ANYWHERE.get(key)
        if check is not None and key not in kept and (value := check(value)):
            kept[key] = value
        elif key == "nowrap" and check is not None:
            kept[key] = key
    style = found.get("style", "") + (";display:none" if "hidden" in found else "")
    if safe := inline(style) if style else "":
        kept["style"] = safe
    return "".join(f' {key}="{html.escape(value)}"' for key, value in kept.items())
