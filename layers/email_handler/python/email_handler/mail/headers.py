"""Header fields: splitting, unfolding, decoding. Everything takes linear time and is bounded."""

import re
import urllib.parse
from collections.abc import Iterator

from email_handler.mail.charsets import decode, extends_ascii
from email_handler.mail.encodings import decode_base64, decode_quoted_printable
from email_handler.mail.patterns import regex

MAX_SECTION = 512 * 1024  # bytes read of one header section; SES accepts about 16 KB, real messages have up to 60 KB
MAX_FIELDS = 1000  # header fields of one entity; real messages have up to 200 (Received, DKIM, ARC, X-)
MAX_VALUE = 16_000  # characters kept of one value, so that patterns stay fast; long To fields fit
MAX_PARAMETERS = 60  # of one Content-Type or Content-Disposition, RFC 2231 pieces included
MAX_IDS = 200  # message ids of one field

_FOLD = regex(r"\n(?=[ \t])")
_NAME = regex(r"[!-9;-~]{1,200}")  # RFC 5322 §3.6.8: printable US-ASCII except the colon
# Control characters, line breaks of every kind, and byte order marks.
_CONTROL = regex(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]+")
_WORD = regex(r"=\?([^?\s]{1,80})\?([bBqQ])\?")  # RFC 2047 §2, up to the encoded text
_PARAMETER = regex(r';\s*+([^\s=;"]{1,100}+)\s*+=\s*+("(?:[^"\\]|\\.)*+"|[^;]*+)', re.DOTALL)
_ESCAPED = regex(r'\\(["\\])')
_PIECE = regex(r"(?s)(.+?)(?:\*([0-9]{1,3}))?(\*?)")  # RFC 2231 §3 and §4: name, number, encoded or not
_ID = regex(r"<([^<>]{1,1000}+)>")
_CHARSET = regex(rb"(?i)charset\s{0,9}=\s{0,9}\"?([a-z0-9_.:-]{1,40})")
# A line that is not a field ends the header section unless one of these fields follows: then it is a folded line
# that lost its indentation. So a broken line cannot hide a From field.
_SURE_FIELD = regex(
    r"(?im)^(?:content-[a-z-]+|mime-version|from|sender|reply-to|to|cc|subject|date|received|message-id|"
    r"return-path|dkim-signature|authentication-results|x-[a-z0-9-]+)[ \t]*:"
)


def split_fields(section: bytes, following: bytes = b"") -> tuple[list[tuple[str, str]], int | None, bool]:
    """Split a header section (any line ends) into fields.

    Return ``(name, raw value)`` pairs, unfolded, values cut to :data:`MAX_VALUE`; the offset of the first line that
    already belongs to the body (None if there is none); and whether a limit was reached. 8-bit text is decoded as
    UTF-8 if valid, else by the charset declared in the section, else by the one declared in *following* (the bytes
    after the section: the first part's header), else as windows-1252.
    """
    cut = len(section) > MAX_SECTION
    text = _section_text(section[:MAX_SECTION], following)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    fields: list[tuple[str, str]] = []
    lines = _FOLD.sub("", text).split("\n")
    last_sure: int | None = None
    for number, line in enumerate(lines):
        name, colon, value = line.partition(":")
        name = name.rstrip(" \t") if number else name.strip(" \t")  # the first line cannot be a continuation
        if colon and _NAME.fullmatch(name):
            if len(fields) == MAX_FIELDS:
                return fields, None, True
            if len(value) > MAX_VALUE:
                cut = True
            fields.append((name, value[: MAX_VALUE + 1].strip(" \t")[:MAX_VALUE]))
        elif line and not (number == 0 and line.startswith(("From ", ">From "))):  # the separator of mbox files
            if last_sure is None:
                last_sure = _last_sure_field(lines)
            if not fields or (number > last_sure and not fields[-1][1].endswith(";")):
                return fields, _offset(section, number), cut
            if len(fields[-1][1]) < MAX_VALUE:  # a folded line that lost its indentation
                name, value = fields[-1]
                fields[-1] = (name, f"{value} {line.strip()}"[:MAX_VALUE])
    return fields, None, cut


def _section_text(section: bytes, following: bytes) -> str:
    if section.isascii():
        return decode(section, "")
    try:
        return section.decode("utf-8")
    except UnicodeDecodeError:
        named = _CHARSET.search(section) or _CHARSET.search(following)
        charset = named[1].decode("ascii") if named else ""
        return decode(section, charset if extends_ascii(charset) else "")


def _last_sure_field(lines: list[str]) -> int:
    """Return the index of the last line that must be a header field, -1 if none; a delimiter ends the search."""
    last = -1
    for number, line in enumerate(lines):
        if line.startswith("--"):
            break
        if _SURE_FIELD.match(line):
            last = number
    return last


def _offset(section: bytes, number: int) -> int:
    """Return the offset of the unfolded line *number* in *section*."""
    offset = 0
    for line in section.splitlines(keepends=True):
        if offset == 0 or line[:1] not in (b" ", b"\t"):
            if number == 0:
                return offset
            number -= 1
        offset += len(line)
    return offset


def clean(text: str) -> str:
    """Return *text* on one line, without control characters and outer white space."""
    return text if text.isprintable() and text[:1] != " " and text[-1:] != " " else _CONTROL.sub(" ", text).strip()


def decode_header(value: str) -> str:
    """Return *value* with its encoded words (RFC 2047) decoded, on one line, without control characters.

    Adjacent words in the same charset are decoded together: some senders split a character. A word that decodes to
    line breaks adds no line (header injection).
    """
    return clean(_decode_words(value[:MAX_VALUE])) if "=?" in value else clean(value[:MAX_VALUE])


def _decode_words(value: str) -> str:
    pieces: list[str] = []
    pending = b""
    pending_charset = ""
    at = 0
    while (word := _WORD.search(value, at)) and (end := value.find("?=", word.end())) >= 0:
        between = value[at : word.start()]
        charset = word[1].partition("*")[0].lower()  # a language may follow (RFC 2231 §5)
        if pending and (between.strip() or charset != pending_charset):
            pieces.append(decode(pending, pending_charset))
            pending = b""
        if between.strip() or (not pieces and not pending):  # white space between words does not count (RFC 2047 §6.2)
            pieces.append(between)
        pending += _decode_word(value[word.end() : end], word[2])
        pending_charset = charset
        at = end + 2
    if pending:
        pieces.append(decode(pending, pending_charset))
    pieces.append(value[at:])
    return "".join(pieces)


def _decode_word(encoded: str, encoding: str) -> bytes:
    data = encoded.encode("utf-8", "replace")
    return decode_quoted_printable(data, header=True) if encoding in "qQ" else decode_base64(data)[0]


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """Split an undecoded Content-Type or Content-Disposition value into its lower-case main value and its parameters.

    Parameter names are lower-case. Values are on one line, RFC 2231 pieces joined and decoded, RFC 2047 words decoded.
    """
    main = value.partition(";")[0].split()
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(value)):
        if count == MAX_PARAMETERS:
            break
        text = match[2]
        if text[:1] == '"' and text[-1:] == '"' and len(text) > 1:
            text = _ESCAPED.sub(r"\1", text[1:-1])
        else:
            text = text.strip(' \t"')
        piece = _PIECE.fullmatch(match[1].lower())
        if piece is None:
            continue
        name, number, encoded = piece[1], int(piece[2] or -1), bool(piece[3])
        pieces.setdefault(name, []).append((number, encoded, text))
    return (main[0].lower() if main else ""), {name: _join(found) for name, found in pieces.items()}


def _join(found: list[tuple[int, bool, str]]) -> str:
    """Join RFC 2231 pieces. Of a plain and an encoded value of one name, the encoded one counts."""
    if len(found) == 1 and not found[0][1]:
        return decode_header(found[0][2])
    numbered = sorted((f for f in found if f[0] >= 0), key=lambda f: f[0])
    chosen = numbered or [next((f for f in found if f[1]), found[0])]
    if not any(encoded for _, encoded, _ in chosen):
        return decode_header("".join(text for _, _, text in chosen))
    charset = ""
    data = b""
    for place, (_, encoded, text) in enumerate(chosen):
        rest = text
        if place == 0 and encoded and text.count("'") >= 2:  # noqa: PLR2004 - charset'language'value
            charset, _, rest = text.split("'", 2)
        data += urllib.parse.unquote_to_bytes(rest) if encoded else rest.encode("utf-8", "replace")
    return clean(decode(data, charset))


def message_ids(value: str) -> Iterator[str]:
    """Yield the message ids of an undecoded Message-ID, In-Reply-To or References value (RFC 5322 §3.6.4).

    Ids come without angle brackets and white space, at most MAX_IDS. Without brackets, words with an ``@`` are ids.
    """
    found = [match[1] for match in _ID.finditer(value)] or [w.strip("<>") for w in value.split() if "@" in w]
    for text in found[:MAX_IDS]:
        if one := clean("".join(text.split())):
            yield one
