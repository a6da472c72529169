"""The leak gate: nothing of the owner's leaves in octets that we can decode.

It reads the finished message, trusting nothing that composed it. What it could not open it says so.
"""

import binascii
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace

from email_handler.conversations.identity import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail.charsets import decode
from email_handler.mail.documents import pdf
from email_handler.mail.message import Message, Part, parse
from email_handler.outgoing.composed import Composed, Place
from email_handler.outgoing.leak_gate import masking
from email_handler.outgoing.leak_gate.needles import PRIVATE, Needles

MAX_INFLATED = 64 * 1024 * 1024  # octets that one message's documents may unpack to: a zip bomb stops here
MAX_READ = 16 * 1024 * 1024  # octets of one message's files that are read as text in every way of writing it
MAX_MEMBERS = 2000  # members of one archive; a large DOCX has some hundreds
MAX_NESTED = 8  # messages within messages
_ENCRYPTED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"))
_PACKED = (b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"BZh", b"\x78\x9f\x3e\x22")
"""How gzip, 7z, RAR, XZ, bzip2 and TNEF (its text is packed) begin."""
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{4,}+(?:\r?\n[>| \t]{0,20}+[A-Za-z0-9+/_-]{2,}+)*+")  # quoted or folded too
_NO_DIGITS = re.compile(r"[\s>|]+")
_BASE64_LEAST = 16  # characters that can hold an address: "a@b.example" has eleven octets
_BASE64_SHIFTED = 100_000  # characters of a run that are tried at every alignment: a link's path may precede it
_UUENCODED = re.compile(r"^begin [0-7]{3,4} [^\r\n]{1,200}\r?\n(?:[!-`][ -`]{1,80}\r?\n)++", re.MULTILINE)
_MESSAGES = frozenset(("message/rfc822", "message/global", "message/news"))
_MESSAGE = re.compile(
    rb"(?:From [^\n]{1,200}\n)?"
    rb"(?:return-path|received|from|to|subject|date|message-id|mime-version|content-type|delivered-to|"
    rb"authentication-results|dkim-signature|x-[a-z0-9-]{1,60}):",
    re.IGNORECASE,
)
"""How a message begins, in a file of any type: many clients attach one as ``application/octet-stream``."""
_NO_TEXT = bytes((*range(7), *range(14, 27), *range(28, 32)))
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_ZIP_END = b"PK\x05\x06"
_ZIP_END_AT = 66_000  # octets before the end that it can lie at: 22 and a comment of 65,535
_ASCII = bytes(range(128)) + b"\x7f" * 128  # what is beyond ASCII is no letter of an address


def for_recipients(identity: Identity, recipients: tuple[EmailAddress, ...]) -> Identity:
    """Return *identity* for mail to *recipients*: an owner who writes to their own public address may read their own
    address in the answer, if nobody else gets it."""
    if len(recipients) != 1:
        return identity
    others = tuple(a for a in identity.private_addresses if a.lower() != recipients[0].lower())
    return replace(identity, private_addresses=others)


def gate(raw: bytes, needles: Needles, places: tuple[Place, ...] = ()) -> Composed:
    """Return *raw* as composed: held where :func:`check` finds anything. *places* tell what was done before."""
    found = check(raw, needles)
    held = tuple(place for place in found if place.action == "held")
    unchecked = tuple(place.where for place in found if place.action == "unchecked")
    return Composed(raw=raw, places=(*places, *held), held=bool(held), unchecked=unchecked)


def check(raw: bytes, needles: Needles) -> tuple[Place, ...]:
    """Return every place of the finished message *raw* that gives the owner away (``held``), and every part that
    could not be looked into (``unchecked``). Never raises; linear in *raw* and in MAX_INFLATED."""
    gate_ = _Gate(needles)
    gate_.message(parse(raw), "", 0)
    told = {place.what for place in gate_.places}
    # What lies between the parts, and whatever parsing dropped. Soft breaks undone: "me@here.example=" at the end of
    # a line may be the beginning of somebody else's address.
    gate_.octets("message", binascii.a2b_qp(raw))
    return tuple(place for place in gate_.places if place.where != "message" or place.what not in told)


def gives_away(part: Part, needles: Needles) -> bool:
    """Tell whether the leaf *part* holds anything that must not leave."""
    gate_ = _Gate(needles)
    gate_.payload("", part, 0)
    return any(place.action == "held" for place in gate_.places)


class _Gate:
    """One look through a message. ``places`` is filled in the order of the message, each place once."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._identity = needles.identity
        self._inflatable = MAX_INFLATED
        self._readable = MAX_READ
        self.places: dict[Place, None] = {}

    def message(self, message: Message, prefix: str, depth: int) -> None:
        numbers = {id(attachment.part): attachment.number for attachment in message.attachments}
        self._headers(message.root, f"{prefix}header ", message)
        for number, part in enumerate(message.root.walk(), 1):
            if id(part) in numbers:
                where = f"{prefix}attachment {numbers[id(part)]} ({part.content_type})"
            else:
                where = f"{prefix}{part.content_type} part {number}"
            if part is not message.root:
                self._headers(part, f"{where} header ")
            for name in (part.filename, part.filename.rpartition(".")[0], part.content_id):
                self._text(f"{where} name", name)
            if part.payload:
                self.payload(where, part, depth)

    def _headers(self, part: Part, prefix: str, message: Message | None = None) -> None:
        for header in (*part.headers, *(message.headers if message else ())):
            where = prefix + (header.name if header.name.isascii() else "?")
            for text in {header.raw, header.value, header.name}:
                self._text(where, text)
            if header.name.lower() in {"message-id", "content-id"}:
                self._host(where, header.value)

    def _host(self, where: str, value: str) -> None:
        host = value.strip(" <>").rpartition("@")[2].lower()
        private = {address.rpartition("@")[2].lower() for address in self._identity.private_addresses}
        if host in private - {self._identity.domain.lower()}:
            self._found(where, PRIVATE)

    def payload(self, where: str, part: Part, depth: int) -> None:
        payload, kind = part.payload, part.content_type
        if kind in _MESSAGES:
            self._nested(where, payload, depth)
        elif kind in _ENCRYPTED:
            self._unchecked(where)
        if kind.startswith(("text/", "message/")) or b"-----BEGIN" in payload:
            text = decode(payload, part.parameters.get("charset", ""))
            self._text(where, text, markup="<" in text)
        elif kind not in _MESSAGES:
            self._file(where, payload, depth)
        if b"\0" in payload or not kind.startswith("text/"):
            self.octets(where, payload)
        self._document(where, payload, depth)

    def _nested(self, where: str, payload: bytes, depth: int) -> None:
        if depth < MAX_NESTED:
            self.message(parse(payload), f"{where}: ", depth + 1)
        else:
            self._unchecked(where)

    def _file(self, where: str, payload: bytes, depth: int) -> None:
        """Look at a file as the message or the text that it is, whatever it is called."""
        is_utf16 = payload.startswith(_BYTE_ORDER_MARKS)
        start = payload[:4096]
        if not is_utf16 and len(start.translate(None, _NO_TEXT)) < len(start):
            return
        if len(payload) > self._readable:
            self._unchecked(where)
            return
        self._readable -= len(payload)
        if _MESSAGE.match(payload):
            self._nested(where, payload, depth)
        text = decode(payload, "utf-16" if is_utf16 else "")
        self._text(where, text, markup="<" in text)

    def octets(self, where: str, payload: bytes) -> None:
        """Look through octets of any kind: as they are, as UTF-16 would have them, and for strings that are told by
        their length or begin behind a NUL (certificates, pictures: the octet behind such a string may be a letter)."""
        text = payload.translate(_ASCII).decode("ascii")
        texts = {text, text.replace("\0\0", "\1").replace("\0", "")}
        if not "".join(self._identity.hidden_terms).isascii():
            texts.add(payload.decode("utf-8", "ignore"))
        for seen in texts:
            for what in masking.places(seen, self._needles, plain=True):
                self._found(where, what)
        lowered = text.lower()
        for address in self._identity.private_addresses:
            if chr(len(address)) + address.lower() in lowered or "\0" + address.lower() in lowered:
                self._found(where, PRIVATE)

    def _document(self, where: str, payload: bytes, depth: int) -> None:
        if payload.startswith(b"PK\x03\x04") or _ZIP_END in payload[-_ZIP_END_AT:]:
            self._zip(where, payload, depth)
        elif payload[:1024].find(b"%PDF-") >= 0:
            self._pdf(where, payload)
        elif payload.startswith(_PACKED):
            self._unchecked(where)

    def _zip(self, where: str, payload: bytes, depth: int) -> None:
        """Look through a ZIP-based document, one level deep (DOCX, XLSX, PPTX, ODT, EPUB, ZIP)."""
        try:
            with zipfile.ZipFile(io.BytesIO(payload)) as archive:
                members = archive.infolist()
                self._text(where, archive.comment.decode("latin-1"))
                for member in members[:MAX_MEMBERS]:
                    self._text(where, member.filename)
                    self._text(where, member.comment.decode("latin-1"))
                    self._member(where, archive, member, depth)
                if len(members) > MAX_MEMBERS:
                    self._unchecked(where)
        except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError, zlib.error, EOFError):
            self._unchecked(where)

    def _member(self, where: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int) -> None:
        if member.flag_bits & 1 or member.file_size > self._inflatable:
            self._unchecked(where)
            return
        with archive.open(member) as opened:
            content = opened.read(self._inflatable)
        self._inflatable -= len(content)
        if content.startswith((b"PK\x03\x04", *_PACKED)):
            self._unchecked(where)
        else:
            self._file(where, content, depth)
            self.octets(where, content)

    def _pdf(self, where: str, payload: bytes) -> None:
        found = pdf.contents(payload, self._inflatable)
        self._inflatable -= found.inflated
        for octets in found.octets:
            self.octets(where, octets)
        if not found.complete:
            self._unchecked(where)

    def _text(self, where: str, text: str, *, markup: bool = False) -> None:
        if not text:
            return
        for what in masking.places(text, self._needles, markup=markup):
            self._found(where, what)
        for what in masking.places("\n".join((*_base64_runs(text), _uuencoded(text))), self._needles, plain=True):
            self._found(where, what)

    def _found(self, where: str, what: str) -> None:
        self.places[Place(where=where, action="held", what=what)] = None

    def _unchecked(self, where: str) -> None:
        self.places[Place(where=where, action="unchecked", what="contents")] = None


def _uuencoded(text: str) -> str:
    """Return what is uuencoded within *text*, as some clients put files into it."""
    octets: list[bytes] = []
    for block in _UUENCODED.finditer(text):
        for line in block[0].splitlines()[1:]:
            try:
                octets.append(binascii.a2b_uu(line.encode("ascii", "replace")))
            except binascii.Error:
                continue
    return b"".join(octets).translate(_ASCII).decode("ascii")


def _base64_runs(text: str) -> Iterator[str]:
    """Yield what base64 within *text* says: keys in armour, data: links, encoded words, PHOTO lines of a vCard."""
    for run in _BASE64_RUN.finditer(text):
        if run.end() - run.start() < _BASE64_LEAST:
            continue
        digits = _NO_DIGITS.sub("", run[0]).translate(_URL_SAFE)
        if len(digits) >= _BASE64_LEAST:
            for shift in range(4) if len(digits) <= _BASE64_SHIFTED else (0,):
                whole = digits[shift : len(digits) - 1 if (len(digits) - shift) % 4 == 1 else None]
                padding = "=" * (-len(whole) % 4)
                yield binascii.a2b_base64(whole + padding).translate(_ASCII).decode("ascii")


_URL_SAFE = str.maketrans("-_", "+/")
