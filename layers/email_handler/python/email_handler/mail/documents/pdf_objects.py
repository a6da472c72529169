"""The objects of a PDF (ISO 32000-1 §7.2 and §7.3), read in the order of the file.

The cross-reference table is not used: what an older revision of the document left behind is read too.
"""

import re
from collections.abc import Iterator
from dataclasses import field

from email_handler.mail.documents.reading import KERN, LANGUAGE
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

_SPACE = rb"\0\t\n\f\r "
_TOKEN = regex(
    rb"(?P<skip>[" + _SPACE + rb"]++|%[^\r\n]*+)"
    rb"|(?P<open><<)|(?P<close>>>)|<(?P<hex>[0-9A-Fa-f" + _SPACE + rb"]*+)>|(?P<string>\()"
    rb"|/(?P<name>[^" + _SPACE + rb"()<>\[\]{}/%]*+)|(?P<array>\[)|(?P<end>\])"
    rb"|(?P<ref>\d{1,10}[" + _SPACE + rb"]{1,9}\d{1,5}[" + _SPACE + rb"]{1,9}R(?![A-Za-z]))"
    rb"|(?P<number>[+-]?(?:\d++\.?\d*+|\.\d++))|(?P<word>[A-Za-z*'\"]++)|(?P<other>.)",
    re.DOTALL,
)
_OBJECT = regex(rb"(\d{1,10})[" + _SPACE + rb"]{1,9}\d{1,5}[" + _SPACE + rb"]{1,9}obj(?![A-Za-z])|\btrailer\b")
_STREAM = regex(rb"[" + _SPACE + rb"]*+stream(?:\r?\n|\r)?")
_END = regex(rb"[" + _SPACE + rb"]{0,20}endstream")
_STRAY = regex(rb"stream\r?\n(.*?)(?:endstream|\Z)", re.DOTALL)
_ZLIB = (b"\x78", b"\x48", b"\x58", b"\x68")  # usual first bytes of a zlib stream (RFC 1950 §2.2)
_STOP = frozenset((b"obj", b"endobj", b"stream", b"endstream", b"xref", b"trailer", b"startxref"))
_MAX_NESTED = 500
_FAST = regex(rb"((?:[^()\\]|\\.)*+)\)", re.DOTALL)
_PARENTHESIS = regex(rb"\\.|[()]", re.DOTALL)
_ESCAPE = regex(rb"\\(?:([0-7]{1,3})|\r\n|(.))|\r\n?", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"\n": b"", b"\r": b""}
_MARKS = {b"\xfe\xff": "utf-16-be", b"\xff\xfe": "utf-16-le", b"\xef\xbb\xbf": "utf-8"}
_NAME_ESCAPE = regex(rb"#([0-9A-Fa-f]{2})")


_NOTED = frozenset((b"Type", b"Font", b"Subtype", b"XFA"))
"""Keys of the dictionaries that are read, wherever they stand."""


class Name(bytes):
    """A name object, without its slash, ``#xx`` decoded."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Ref:
    """A reference to the object with this number."""

    number: int


type Value = Name | Ref | bytes | float | str | list[Value] | dict[bytes, Value] | None
type Dictionary = dict[bytes, Value]


@dataclass(slots=True)
class Stream:
    """A stream as the file has it: its number, its dictionary, its encoded bytes."""

    number: int
    dictionary: Dictionary
    packed: bytes
    complete: bool  # it has an end


@dataclass(slots=True)
class Document:
    """The objects of a document. ``strings`` are all its string objects and names with escapes, decoded."""

    objects: dict[int, Value] = field(default_factory=dict)  # the last of each number
    dictionaries: list[Dictionary] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    strings: list[bytes] = field(default_factory=list)
    complete: bool = True  # every string ends

    def resolve(self, value: Value) -> Value:
        """Return the object that *value* refers to, or *value* itself."""
        for _ in range(20):
            if not isinstance(value, Ref):
                return value
            value = self.objects.get(value.number)
        return None

    def dictionary(self, value: Value) -> Dictionary:
        """Return *value* resolved if it is a dictionary, else an empty one."""
        resolved = self.resolve(value)
        return resolved if isinstance(resolved, dict) else {}

    def array(self, value: Value) -> list[Value]:
        """Return *value* resolved as a list: of one if it is no array, empty if it is null."""
        resolved = self.resolve(value)
        return resolved if isinstance(resolved, list) else [] if resolved is None else [resolved]

    def add(self, number: int, value: Value) -> None:
        """Note the object *value*."""
        self.objects[number] = value
        if isinstance(value, dict):
            self.dictionaries.append(value)


def read_objects(data: bytes, document: Document) -> None:
    """Add the objects of the file *data* to *document*. Takes linear time."""
    at = 0
    while found := _OBJECT.search(data, at):
        _read_between(data, at, found.start(), document)
        value, at = parse_value(data, found.end(), document)
        number = int(found[1] or 0)
        if found[1]:
            document.add(number, value)
        elif isinstance(value, dict):
            document.dictionaries.append(value)
        if isinstance(value, dict) and (begun := _STREAM.match(data, at)):
            end, at, complete = _stream_end(data, begun.end(), value.get(b"Length"))
            document.streams.append(Stream(number, value, data[begun.end() : end], complete))
    _read_between(data, at, len(data), document)


def _read_between(data: bytes, at: int, end: int, document: Document) -> None:
    """Add strings and streams that belong to no object: the file is damaged, and some reader may repair it."""
    strings = len(document.strings)
    if data.find(b"stream", at, end) >= 0:
        for stray in _STRAY.finditer(data, at, end):
            flate = {b"Filter": Name(b"FlateDecode")} if stray[1][:1] in _ZLIB else {}
            document.streams.append(Stream(0, dict(flate), stray[1], complete=False))
    elif data.find(b"(", at, end) >= 0 or data.find(b"<", at, end) >= 0:
        while at < end:
            _, after = parse_value(data, at, document)
            at = max(after, at + 1)
        document.complete = document.complete and len(document.strings) == strings


def _stream_end(data: bytes, start: int, length: Value) -> tuple[int, int, bool]:
    if isinstance(length, float) and 0 <= length <= len(data) - start:
        end = start + int(length)
        if closing := _END.match(data, end):
            return end, closing.end(), True
    end = data.find(b"endstream", start)
    return (end, end + 9, True) if end >= 0 else (len(data), len(data), False)


def read_object_stream(content: bytes, dictionary: Dictionary, document: Document) -> None:
    """Add the objects of a decoded object stream (§7.5.7) to *document*."""
    first = dictionary.get(b"First")
    if not isinstance(first, float):
        document.complete = False
        return
    numbers = [int(digits) for digits in re.findall(rb"\d{1,10}", content[: int(first)])]
    for number, offset in zip(numbers[::2], numbers[1::2], strict=False):
        value, _ = parse_value(content, int(first) + offset, document)
        document.add(number, value)


def parse_value(data: bytes, at: int, document: Document) -> tuple[Value, int]:  # noqa: C901 - one branch for each kind of token
    """Return the object at *at* and the offset behind it. An object that is not closed ends with its ``endobj``."""
    stack: list[list[Value]] = [[]]
    while token := _TOKEN.match(data, at):
        kind = token.lastgroup
        at = token.end()
        if kind == "skip":
            continue
        if kind in {"open", "array"}:
            if len(stack) > _MAX_NESTED:
                document.complete = False
                break
            stack.append([])
            continue
        if kind in {"close", "end"}:
            if len(stack) == 1:
                break
            items = stack.pop()
            value: Value = items if kind == "end" else _dictionary(items, document)
        elif kind == "string":
            literal, at = literal_string(data, at, document)
            document.strings.append(literal)
            value = literal
        elif kind == "word" and token["word"] in _STOP:
            at = token.start()
            break
        else:
            value = _scalar(token, document)
        stack[-1].append(value)
        if len(stack) == 1:
            break
    while len(stack) > 1:  # not closed
        items = stack.pop()
        stack[-1].append(_dictionary(items, document))
    return (stack[0][0] if stack[0] else None), at


def _scalar(token: re.Match[bytes], document: Document) -> Value:
    if token["name"] is not None:
        if b"#" not in token["name"]:
            return Name(token["name"])
        decoded = _NAME_ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), token["name"])
        document.strings.append(decoded)
        return Name(decoded)
    if token["hex"] is not None:
        literal = hex_string(token["hex"])
        document.strings.append(literal)
        return literal
    if token["ref"]:
        return Ref(int(token["ref"].split(None, 1)[0]))
    if token["number"]:
        return float(token["number"][:30])
    return (token["word"] or b"").decode("ascii")


def _dictionary(items: list[Value], document: Document) -> Dictionary:
    found: Dictionary = {}
    for key, value in zip(items[::2], items[1::2], strict=False):
        if isinstance(key, Name):
            found[bytes(key)] = value
    if not _NOTED.isdisjoint(found):
        document.dictionaries.append(found)
    return found


def literal_string(data: bytes, at: int, document: Document) -> tuple[bytes, int]:
    """Return the literal string whose "(" ends at *at*, decoded, and the offset behind it (§7.3.4.2)."""
    if simple := _FAST.match(data, at):
        return unescaped(simple[1]), simple.end()
    depth, end = 1, at
    while found := _PARENTHESIS.search(data, end):
        end = found.end()
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
        if not depth:
            return unescaped(data[at : end - 1]), end
    document.complete = False
    return unescaped(data[at:]), len(data)


def unescaped(literal: bytes) -> bytes:
    """Return the contents of a literal string without its escapes."""
    if b"\\" not in literal and b"\r" not in literal:
        return literal
    return _ESCAPE.sub(_meaning, literal)


def _meaning(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return bytes([int(found[1], 8) & 255])
    if found[2] is None:
        return b"" if found[0].startswith(b"\\") else b"\n"
    return _ESCAPED.get(found[2], found[2])


def hex_string(digits: bytes) -> bytes:
    """Return the bytes of a hexadecimal string (§7.3.4.3)."""
    packed = digits.translate(None, b"\0\t\n\f\r ")
    return bytes.fromhex((packed + b"0" * (len(packed) % 2)).decode("ascii"))


def string_text(content: bytes) -> str:
    """Return a text string (§7.9.2.2): UTF-16 or UTF-8 with a byte order mark, else PDFDocEncoding.

    A mark of the language may stand anywhere in it, also within a word (§7.9.2.2.2).
    """
    for mark, codec in _MARKS.items():
        if content.startswith(mark):
            return LANGUAGE.sub(KERN, content[len(mark) :].decode(codec, "replace"))
    return content.decode("cp1252", "replace")


def names(value: Value, document: Document) -> Iterator[bytes]:
    """Yield the names in *value*: one, or an array of them."""
    for item in document.array(value):
        resolved = document.resolve(item)
        yield resolved if isinstance(resolved, Name) else b"?"
