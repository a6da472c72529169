"""PDF (ISO 32000-1): every string, every stream, the text that pages and forms show, and embedded files.

Objects are read in the order of the file, whether or not anything refers to them. Pictures' pixels are not text and
are not decoded.
"""

from collections.abc import Callable, Iterator

from email_handler.mail.documents import pictures
from email_handler.mail.documents.pdf_filters import Undecodable, decoded, is_picture
from email_handler.mail.documents.pdf_fonts import UNKNOWN, Font, read_font
from email_handler.mail.documents.pdf_objects import (
    Dictionary,
    Document,
    Name,
    Ref,
    Stream,
    Value,
    read_object_stream,
    read_objects,
    string_text,
)
from email_handler.mail.documents.pdf_text import Shown, show
from email_handler.mail.documents.plain import as_utf8, is_binary
from email_handler.mail.documents.reading import (
    BOUNDARY,
    DAMAGED,
    ENCRYPTED,
    NO_CHARACTER_MAP,
    TOO_LARGE,
    TOO_MANY,
    Budget,
    Found,
    Member,
    Raw,
    Text,
    Unread,
)
from email_handler.mail.patterns import regex

_SHOWS_TEXT = regex(rb"[)>\]\s](?:T[jJ]|['\"])(?![A-Za-z])")
_BEGIN = regex(rb"\bBT\b")
_SLOW = 4  # times that a byte of a content stream costs
_MAX_PARENTS = 50  # levels of the page tree
_MAX_FONTS = 4  # fonts of one name, if it is not known which page a stream belongs to
_CUT = regex(rb"startxref\s{1,9}\d{1,12}\s{1,9}%%EOF")


def read_pdf(payload: bytes, budget: Budget) -> Iterator[Found]:
    """Yield what the document holds."""
    document = Document()
    read_objects(payload, document)
    if any(b"Encrypt" in dictionary for dictionary in document.dictionaries):
        yield Unread(ENCRYPTED)
        return
    if not _CUT.search(payload):
        yield Unread(DAMAGED)
    contents: list[tuple[Stream, bytes]] = []
    # Object streams first: other streams' dictionaries may refer to what is in them.
    of_objects = [stream for stream in document.streams if stream.dictionary.get(b"Type") == Name(b"ObjStm")]
    others = [stream for stream in document.streams if stream.dictionary.get(b"Type") != Name(b"ObjStm")]
    for streams in (of_objects, others):
        files = _embedded(document)
        for stream in streams:
            if not budget.take_member():
                yield Unread(TOO_MANY)
                break
            yield from _stream(stream, document, budget, contents, is_file=stream.number in files)
    yield Text(BOUNDARY.join(map(string_text, document.strings)))
    if not document.complete:
        yield Unread(DAMAGED)
    yield Raw(b"\0\0\0".join(content for _, content in contents))
    yield from _forms(document, contents)
    yield from _Pages(document, contents, budget).texts()


def _embedded(document: Document) -> set[int]:
    """Return the numbers of the streams that file specifications name (§7.11.4): their type is optional."""
    named = (document.dictionary(dictionary.get(b"EF")) for dictionary in document.dictionaries)
    return {value.number for files in named for value in files.values() if isinstance(value, Ref)}


def _forms(document: Document, contents: list[tuple[Stream, bytes]]) -> Iterator[Found]:
    """Yield each form that several streams hold (§12.7.8): one XML document, cut anywhere."""
    content_of = {stream.number: content for stream, content in contents}
    for dictionary in document.dictionaries:
        parts = [part.number for part in document.array(dictionary.get(b"XFA")) if isinstance(part, Ref)]
        if len(parts) > 1:
            yield Member("", b"".join(content_of.get(number, b"") for number in parts))


def _stream(
    stream: Stream, document: Document, budget: Budget, contents: list[tuple[Stream, bytes]], *, is_file: bool
) -> Iterator[Found]:
    """Yield what *stream* holds, or add it to *contents* to be read as what pages show."""
    if not stream.complete:
        yield Unread(DAMAGED)
    if is_picture(stream):
        if b"DCTDecode" in document.array(stream.dictionary.get(b"Filter")) and stream.packed.startswith(pictures.JPEG):
            yield from pictures.read_jpeg(stream.packed, budget)
        return
    try:
        content, _ = decoded(stream, document, budget)
    except Undecodable as error:
        content = error.content
        yield Unread(error.reason)
    match Name(b"EmbeddedFile") if is_file else stream.dictionary.get(b"Type"):
        case b"ObjStm":
            read_object_stream(content, stream.dictionary, document)
        case b"XRef":
            pass
        case b"EmbeddedFile":
            yield Member("", content)
        case _:
            contents.append((stream, content))
            plain = as_utf8(content)
            is_content = plain is content and plain.lstrip()[:1] != b"<" and _SHOWS_TEXT.search(content)
            if not is_content and not is_binary(plain):
                yield Text(plain.decode("utf-8", "replace"), is_markup=True)


class _Pages:
    """The pages of a document and everything else that shows text, with the fonts of each."""

    def __init__(self, document: Document, contents: list[tuple[Stream, bytes]], budget: Budget) -> None:
        self._document = document
        self._contents = contents
        self._content_of = {stream.number: content for stream, content in contents}
        self._budget = budget
        self._fonts: dict[int, Font] = {}
        self._named: dict[bytes, list[Font]] = {}  # of the whole document
        self._shown = Shown()

    def texts(self) -> Iterator[Found]:
        """Yield the text of all pages, and of all streams that no page names as its content."""
        pages = [d for d in self._document.dictionaries if d.get(b"Type") == Name(b"Page")]
        for dictionary in self._document.dictionaries:
            self._note_fonts(self._document.dictionary(dictionary.get(b"Font")))
        drawn: set[int] = set()
        read: set[tuple[object, ...]] = set()
        for page in pages:
            numbers = [item.number for item in self._parts(page.get(b"Contents")) if isinstance(item, Ref)]
            fonts = self._document.dictionary(self._resources(page).get(b"Font"))
            drawn.update(numbers)
            if (key := (*numbers, id(fonts))) not in read:
                read.add(key)
                yield from self._read(b"\n".join(self._content_of.get(number, b"") for number in numbers), 0, fonts)
        glyphs = self._glyphs()
        for stream, content in self._contents:
            if stream.number in drawn and self._content_of[stream.number] is content:
                continue
            kind = stream.dictionary.get(b"Subtype")
            is_drawn = kind == Name(b"Form") or b"PatternType" in stream.dictionary or stream.number in glyphs
            begun = _BEGIN.search(content)
            if is_drawn or begun:
                resources = self._document.dictionary(stream.dictionary.get(b"Resources"))
                fonts = self._document.dictionary(resources.get(b"Font"))
                yield from self._read(content, 0 if is_drawn or not begun else begun.start(), fonts)
        yield Text("".join(self._shown.runs))
        yield Text("".join(self._shown.codes))
        yield Text(BOUNDARY.join(self._shown.further))
        if not self._shown.complete:
            yield Unread(NO_CHARACTER_MAP)

    def _parts(self, value: Value) -> list[Value]:
        """Return the references to the streams of a page."""
        if isinstance(value, Ref) and not isinstance(self._document.resolve(value), list):
            return [value]
        return self._document.array(value)

    def _resources(self, page: Dictionary) -> Dictionary:
        for _ in range(_MAX_PARENTS):
            if b"Resources" in page:
                return self._document.dictionary(page[b"Resources"])
            page = self._document.dictionary(page.get(b"Parent"))
        return {}

    def _glyphs(self) -> set[int]:
        """Return the numbers of the streams that draw the glyphs of Type 3 fonts (§9.6.5)."""
        of_fonts = (self._document.dictionary(font.get(b"CharProcs")) for font in self._document.dictionaries)
        return {value.number for glyphs in of_fonts for value in glyphs.values() if isinstance(value, Ref)}

    def _note_fonts(self, fonts: Dictionary) -> None:
        for name, value in fonts.items():
            known = self._named.setdefault(name, [])
            font = self._font(value)
            if font is not None and all(font is not other for other in known[: _MAX_FONTS + 1]):
                known.append(font)

    def _font(self, value: Value) -> Font | None:
        dictionary = self._document.dictionary(value)
        if not dictionary:
            return None
        if id(dictionary) not in self._fonts:
            self._fonts[id(dictionary)] = read_font(dictionary, self._document, self._content_of)
        return self._fonts[id(dictionary)]

    def _read(self, content: bytes, at: int, fonts: Dictionary) -> Iterator[Found]:
        """Yield what is not read in *content*, and add what it shows from *at* on to ``_shown``."""
        if not _SHOWS_TEXT.search(content):
            return
        if not self._budget.take(len(content), _SLOW):
            yield Unread(TOO_LARGE)
            return
        variants = 1

        def lookup(number: int) -> Callable[[bytes], Font]:
            def named(name: bytes) -> Font:
                nonlocal variants
                if (own := self._font(fonts.get(name))) is not None:
                    return own
                known = self._named.get(name, [])
                variants = max(variants, len(known))
                return known[min(number, len(known) - 1)] if known else UNKNOWN

            return named

        number = 0
        while number < min(variants, _MAX_FONTS):
            show(content, at, lookup(number), self._shown)
            number += 1
        if variants > _MAX_FONTS:
            yield Unread(NO_CHARACTER_MAP)
