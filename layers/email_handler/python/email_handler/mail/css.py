"""The CSS of a message, rebuilt from an allow-list, so that it changes nothing but its own elements.

Both CSS and its escapes are parsed (tinycss2, CSS Syntax Level 3); what comes out is written anew from the tokens. Only
properties, values, functions, selectors and at-rules that are known to stay within their own element are kept. The
allow-list has what email clients show; whatever takes an element out of the flow, paints outside its box, moves it or
changes over time is not on it.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import tinycss2
from tinycss2.serializer import serialize_identifier

from email_handler.mail.patterns import regex
from email_handler.mail.urls import picture_url

MAX_STYLE = 10_000  # characters of one style attribute; what is longer is dropped
_MAX_LENGTH = 5000  # of any number in a value
_MAX_FONT = {"px": 200, "pt": 150, "%": 1000}  # of a font's size
_MAX_FONT_RATIO = 10  # of one in em and the like
_DEPTH = 4  # functions and blocks within each other

_SIDES = ("top", "right", "bottom", "left")
_SIZES = frozenset(f"{bound}{size}" for bound in ("", "min-", "max-") for size in ("width", "height"))
_BACKGROUND = frozenset(("background", "background-image"))
_PROPERTIES = (
    _SIZES
    | _BACKGROUND
    | {f"{box}{side}" for box in ("margin", "padding", "border") for side in ("", *(f"-{side}" for side in _SIDES))}
    | {f"border{side}-{what}" for side in ("", *(f"-{s}" for s in _SIDES)) for what in ("color", "style", "width")}
    | {f"border-{y}-{x}-radius" for y in ("top", "bottom") for x in ("left", "right")}
    | {
        "background-color", "background-position", "background-repeat", "background-size", "border-collapse",
        "border-radius", "border-spacing", "box-sizing", "caption-side", "clear", "color", "direction", "display",
        "empty-cells", "float", "font", "font-family", "font-size", "font-stretch", "font-style", "font-variant",
        "font-weight", "hyphens", "letter-spacing", "line-break", "line-height", "list-style", "list-style-image",
        "list-style-position", "list-style-type", "object-fit", "opacity", "overflow", "overflow-wrap", "overflow-x",
        "overflow-y", "table-layout", "text-align", "text-align-last", "text-decoration", "text-decoration-color",
        "text-decoration-line", "text-decoration-style", "text-indent", "text-overflow", "text-transform",
        "vertical-align", "visibility", "white-space", "width", "word-break", "word-spacing", "word-wrap",
        "-webkit-text-size-adjust", "-ms-text-size-adjust", "mso-line-height-rule", "mso-padding-alt",
        "mso-table-lspace", "mso-table-rspace",
    }
)  # fmt: skip
_NEGATIVE = frozenset(("background", "background-position", "letter-spacing"))
_PICTURES = _BACKGROUND | {"list-style", "list-style-image"}
_WORDS = {  # properties that take only these words
    "display": frozenset(
        (
            "block", "inherit", "inline", "inline-block", "inline-table", "list-item", "none", "table",
            "table-caption", "table-cell", "table-column", "table-column-group", "table-footer-group",
            "table-header-group", "table-row", "table-row-group",
        )
    ),
    "float": frozenset(("inherit", "left", "none", "right")),
    "overflow": frozenset(("auto", "hidden", "inherit", "scroll", "visible")),
}  # fmt: skip
_UNITS = frozenset(("", "px", "pt", "pc", "in", "cm", "mm", "em", "rem", "ex", "ch", "vw", "vh", "deg"))
_COLORS = frozenset(("rgb", "rgba", "hsl", "hsla"))
_GRADIENTS = frozenset(("linear-gradient", "radial-gradient"))
_PSEUDO = frozenset(
    (
        "active", "first-child", "focus", "hover", "last-child", "last-of-type", "first-of-type", "link",
        "only-child", "root", "visited",
    )
)  # fmt: skip
_NOT_WRITTEN = regex(r"[<\x00-\x1f\x7f]|--|/\*")  # could end a <style> in some client, or begin a comment
_QUOTING = regex(r"[\"'\\\x00-\x1f\x7f]")
_LONG_NUMBER = regex(r"[0-9]{100,}")  # int() of thousands of digits raises
_CONDITION = regex(r"(?:and|not|only|all|screen|print|handheld|(?:-webkit-)?(?:min-|max-)?[a-z-]{1,40})")

type _Tokens = Iterable[Any]  # tinycss2 has no types


def inline(style: str) -> str:
    """Return the declarations of a style attribute that are safe, "" if none is. Never raises; takes linear time."""
    if len(style) > MAX_STYLE:
        return ""
    style = _LONG_NUMBER.sub("0", style)
    return ";".join(_declarations(tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True)))


def scoped(sheet: str, scope: str) -> str:
    """Return the rules of a style *sheet* that are safe, each for descendants of *scope* (a selector, such as ``.x``).

    What the sheet says of ``html``, ``body`` and ``:root`` applies to *scope* itself. Never raises; takes linear time.
    """
    sheet = _LONG_NUMBER.sub("0", sheet.replace("<!--", " ").replace("-->", " "))
    return "\n".join(_rules(tinycss2.parse_stylesheet(sheet, skip_comments=True, skip_whitespace=True), scope))


def _rules(rules: _Tokens, scope: str, depth: int = 0) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [_selector(one, scope) for one in _split(rule.prelude)]
            content = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
            # One selector that browsers do not know makes them drop the rule.
            if all(selectors) and (declared := ";".join(_declarations(content))):
                yield f"{','.join(selectors)}{{{declared}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None and not depth:
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            condition, kept = _condition(rule.prelude), "\n".join(_rules(inner, scope, depth + 1))
            if condition and kept:
                yield f"@media {condition}{{\n{kept}\n}}"


def _declarations(contents: _Tokens) -> Iterator[str]:
    for one in contents:
        if one.type != "declaration" or one.lower_name not in _PROPERTIES:
            continue
        value = _value(one.value, one.lower_name)
        if value and not _NOT_WRITTEN.search(value):
            yield f"{one.lower_name}:{value}{'!important' if one.important else ''}"


def _value(given: _Tokens, name: str) -> str | None:
    """Return the value of property *name*, None if any of its tokens is not known to be safe."""
    found = _tokens(given, name)
    if not found:
        return None
    value = "".join(found).strip()
    words = _WORDS.get(name.removesuffix("-x").removesuffix("-y"))
    return value if words is None or all(word in words for word in value.lower().split()) else None


def _tokens(given: _Tokens, name: str, depth: int = 0) -> list[str] | None:
    written: list[str] = []
    for token in given:
        text = None if depth > _DEPTH else _token(token, name, depth)
        if text is None:
            return None
        written.append(text)
    return written


def _token(token: Any, name: str, depth: int) -> str | None:  # noqa: C901, PLR0911 - one for each kind of token
    match token.type:
        case "whitespace":
            return " "
        case "comment":
            return ""
        case "ident":
            return str(serialize_identifier(token.value))
        case "number" | "percentage" | "dimension":
            return _number(token, name)
        case "hash":
            return f"#{token.value}" if re.fullmatch("[0-9a-fA-F]{3,8}", token.value) else None
        case "literal":
            return str(token.value) if token.value in (",", "/") or (depth and token.value in "+-*") else None
        case "string" if name in ("font", "font-family") and not _QUOTING.search(token.value):
            return f"'{token.value}'"
        case "url":
            return _url(token.value) if name in _PICTURES else None
        case "function":
            return _function(token, name, depth)
        case "() block" if name == "calc":
            inner = _tokens(token.content, name, depth + 1)
            return None if inner is None else f"({''.join(inner)})"
        case _:
            return None


def _number(token: Any, name: str) -> str | None:
    unit = "%" if token.type == "percentage" else token.lower_unit if token.type == "dimension" else ""
    most = _MAX_LENGTH
    if name in ("font", "font-size"):
        most = _MAX_FONT.get(unit, _MAX_LENGTH if not unit else _MAX_FONT_RATIO)
    if unit not in _UNITS | {"%"} or not (-most if name in _NEGATIVE else 0) <= token.value <= most:
        return None
    return f"{token.value:.10g}{unit}" if abs(token.value) >= 0.0001 or not token.value else f"0{unit}"  # noqa: PLR2004


def _function(token: Any, name: str, depth: int) -> str | None:
    function = token.lower_name
    if function == "url" and name in _PICTURES:
        strings = [one for one in token.arguments if one.type not in ("whitespace", "comment")]
        return _url(strings[0].value) if len(strings) == 1 and strings[0].type == "string" else None
    if (
        function in _COLORS
        or (function in _GRADIENTS and name in _BACKGROUND)
        or (function == "calc" and name in _SIZES and not depth)
    ):
        inner = _tokens(token.arguments, "calc" if function == "calc" else name, depth + 1)
        return None if inner is None else f"{function}({''.join(inner)})"
    return None


def _url(url: str) -> str | None:
    safe = picture_url(url)
    return f'url("{safe}")' if safe else None


def _split(tokens: _Tokens) -> list[list[Any]]:
    parts: list[list[Any]] = [[]]
    for token in tokens:
        if token == ",":  # noqa: S105 - of CSS
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _selector(tokens: list[Any], scope: str) -> str:
    """Return one selector for descendants of *scope*, "" if anything in it is not known to be safe."""
    parts: list[str] = []  # compound selectors, each behind its combinator: " ", ">", "+" or "~"
    combinator, begun = " ", False
    pending = iter([token for token in tokens if token.type != "comment"])
    for token in pending:
        if token.type == "whitespace" or token in (">", "+", "~"):
            combinator = token.value if token.type == "literal" else combinator
            begun = False
            continue
        text = _simple(token, pending)
        if text is None:
            return ""
        if not begun:
            parts.append(combinator)
            parts.append("")
            combinator, begun = " ", True
        parts[-1] += text
    return _below(parts, scope) if parts and combinator == " " else ""


def _below(parts: list[str], scope: str) -> str:
    """Return the combinators and compound selectors *parts* for descendants of *scope*.

    Those for the page's root at the beginning become *scope*. Behind it only a descendant or child may follow: a
    sibling of *scope* is not below it.
    """
    roots = ""
    combinator = parts[0]
    while parts and (root := _ROOT.fullmatch(parts[1])):
        roots = root[1] or roots
        parts = parts[2:]
        combinator = parts[0] if parts else " "
    if combinator not in (" ", ">"):
        return ""
    return scope + roots + "".join(parts)


_ROOT = regex(r"(?:html|body|:root)((?:[.#:\[].*)?)", re.IGNORECASE)


def _simple(token: Any, pending: Iterator[Any]) -> str | None:  # noqa: PLR0911 - one for each kind of token
    match token.type:
        case "ident":
            return str(serialize_identifier(token.value))
        case "hash":
            return f"#{serialize_identifier(token.value)}" if token.is_identifier else None
        case "literal" if token.value == "*":
            return "*"
        case "literal" if token.value in (".", ":"):
            name = next(pending, None)
            if name is None or name.type != "ident" or (token.value == ":" and name.lower_value not in _PSEUDO):
                return None
            return f"{token.value}{serialize_identifier(name.value)}"
        case "[] block":
            return _attribute(token.content)
        case _:
            return None


def _attribute(tokens: _Tokens) -> str | None:
    written = []
    for token in tokens:
        match token.type:
            case "ident":
                written.append(serialize_identifier(token.value))
            case "string" if not _QUOTING.search(token.value):
                written.append(f'"{token.value}"')
            case "literal" | "whitespace" if token.value in ("=", "~=", "|=", "^=", "$=", "*=", " "):
                written.append(token.value)
            case _:
                return None
    text = "".join(written)
    return f"[{text}]" if re.fullmatch(r'[\w-]+(?:[~|^$*]?=(?:[\w-]+|"[^"\\]*"))?', text) else None


def _condition(tokens: _Tokens) -> str:
    """Return the condition of a media query, "" if anything in it is not known to be safe."""
    written: list[str] = []
    for token in tokens:
        match token.type:
            case "whitespace" | "comment":
                written.append(" ")
            case "ident" if _CONDITION.fullmatch(token.lower_value):
                written.append(token.lower_value)
            case "literal" if token.value in (",", ":"):
                written.append(token.value)
            case "number" | "dimension" if (number := _number(token, "width")) is not None:
                written.append(number)
            case "() block" if inner := _condition(token.content):
                written.append(f"({inner})")
            case _:
                return ""
    return "".join(written).strip()
