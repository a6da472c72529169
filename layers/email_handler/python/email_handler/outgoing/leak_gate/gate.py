"""The leak gate: nothing that the owner keeps private leaves in bytes that we can decode.

It reads the finished message and trusts nothing that composed it. It reports what it could not open as unchecked.
"""

import binascii
import contextlib
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace

from email_handler.conversations.owners import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import address_domain
from email_handler.mail.charsets import decode
from email_handler.mail.documents import pdf
from email_handler.mail.message import Message, Part
from email_handler.mail.parsing import parse
from email_handler.outgoing.composed import Composed, Place
from email_handler.outgoing.leak_gate.masking import found_in
from email_handler.outgoing.leak_gate.needles import PRIVATE, Needles

MAX_INFLATED = 64 * 1024 * 1024  # bytes that the documents of one message may unpack to: a zip bomb stops here
MAX_READ = 16 * 1024 * 1024  # bytes of one message's files that are read as text, in every way of writing it
MAX_MEMBERS = 2000  # members of one archive; a large DOCX has some hundreds
MAX_NESTED = 8  # levels of messages within messages
_ENCRYPTED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"))
_PACKED = (b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ", b"BZh", b"\x78\x9f\x3e\x22")
"""First bytes of gzip, 7z, RAR, XZ, bzip2 and TNEF (its text is packed)."""
_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{4,}+(?:\r?\n[>| \t]{0,20}+[A-Za-z0-9+/_-]{2,}+)*+")  # quoted or folded too
_NO_DIGITS = re.compile(r"[\s>|]+")
_URL_SAFE = str.maketrans("-_", "+/")
_BASE64_LEAST = 16  # characters that can hold an address: "a@b.example" has eleven bytes
_BASE64_SHIFTED = 100_000  # characters of a run that is tried at every alignment: a link's path may precede it
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
_START = 4096  # first bytes of a file that tell whether it is text
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_PDF_START_AT = 1024  # first bytes of a file that hold a PDF's header (PDF Reference 1.7, appendix H.3, note 13)
_ZIP_START = b"PK\x03\x04"
_ZIP_END = b"PK\x05\x06"
_ZIP_END_AT = 66_000  # bytes before the end of a file that it can begin at: 22 and a comment of 65,535
_ASCII = bytes(range(128)) + b"\x7f" * 128  # no byte beyond ASCII is a letter of an address


def for_recipients(identity: Identity, recipients: tuple[EmailAddress, ...]) -> Identity:
    """Return *identity* for a message to *recipients*.

    A private address that is the only recipient is not private to them: an owner who tries their own public address
    may read their own address in the reply.
    """
    if len(recipients) != 1:
        return identity
    others = tuple(a for a in identity.private_addresses if a.lower() != recipients[0].lower())
    return replace(identity, private_addresses=others)


def composed(raw: bytes, needles: Needles, places: tuple[Place, ...] = ()) -> Composed:
    """Return *raw* as :class:`Composed`, held if :func:`check` finds anything. *places* list what was changed before."""
    found = check(raw, needles)
    held = tuple(place for place in found if place.action == "held")
    unchecked = tuple(place.where for place in found if place.action == "unchecked")
    return Composed(raw=raw, places=(*places, *held), held=bool(held), unchecked=unchecked)


def check(raw: bytes, needles: Needles) -> tuple[Place, ...]:
    """Return every place of the finished message *raw* that reveals what is private (``held``), and every part that
    could not be read in full (``unchecked``). Never raises; linear in *raw* and in MAX_INFLATED."""
    scan = _Scan(needles)
    scan.message(parse(raw), "", 0)
    reported = {place.what for place in scan.places}
    # Also what stands between the parts, and what parsing dropped. Soft line breaks are undone first: "me@here.example="
    # at the end of a line may be the beginning of somebody else's address.
    scan.binary("message", binascii.a2b_qp(raw))
    return tuple(place for place in scan.places if place.where != "message" or place.what not in reported)


def reveals(part: Part, needles: Needles) -> bool:
    """Return whether the leaf *part* holds anything that must not leave."""
    scan = _Scan(needles)
    scan.payload("", part, 0)
    return any(place.action == "held" for place in scan.places)


class _Scan:
    """One pass through a message under one budget. ``places`` holds each place once, in the order of the message."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        self._private_addresses = [address.lower() for address in needles.identity.private_addresses]
        self._private_hosts = set(map(address_domain, self._private_addresses)) - {needles.identity.domain.lower()}
        self._inflatable = MAX_INFLATED
        self._readable = MAX_READ
        self.places: dict[Place, None] = {}

    def message(self, message: Message, prefix: str, depth: int) -> None:
        """Scan *message*, at *depth* levels within the finished one. *prefix* begins the names of its places."""
        numbers = {id(attachment.part): attachment.number for attachment in message.attachments}
        self._headers(message.root, f"{prefix}header ")
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

    def _headers(self, part: Part, prefix: str) -> None:
        for header in part.headers:
            where = prefix + (header.name if header.name.isascii() else "?")
            for text in {header.raw, header.value, header.name}:
                self._text(where, text)
            if header.name.lower() in {"message-id", "content-id"}:
                host = header.value.strip(" <>").rpartition("@")[2].lower()  # of an id without "@", all of it
                if host in self._private_hosts:
                    self._found(where, PRIVATE)

    def payload(self, where: str, part: Part, depth: int) -> None:
        """Scan the payload of the leaf *part* as everything that a reader's program could take it for."""
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
            self.binary(where, payload)
        self._document(where, payload, depth)

    def _nested(self, where: str, payload: bytes, depth: int) -> None:
        if depth < MAX_NESTED:
            self.message(parse(payload), f"{where}: ", depth + 1)
        else:
            self._unchecked(where)

    def _file(self, where: str, payload: bytes, depth: int) -> None:
        """Scan a file as the message or the text that it is, whatever its type says."""
        is_utf16 = payload.startswith(_BYTE_ORDER_MARKS)
        start = payload[:_START]
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

    def binary(self, where: str, payload: bytes) -> None:
        """Scan bytes of any kind: as ASCII and as UTF-16.

        The strings of certificates and pictures have their length or a NUL in front, and the byte behind may look like
        a letter of the address: they are searched for by themselves.
        """
        text = payload.translate(_ASCII).decode("ascii")
        texts = {text, text.replace("\0\0", "\1").replace("\0", "")}
        if not "".join(self._needles.identity.hidden_terms).isascii():
            texts.add(payload.decode("utf-8", "ignore"))
        for seen in texts:
            self._plain(where, seen)
        lowered = text.lower()
        for address in self._private_addresses:
            if chr(len(address)) + address in lowered or "\0" + address in lowered:
                self._found(where, PRIVATE)

    def _document(self, where: str, payload: bytes, depth: int) -> None:
        if payload.startswith(_ZIP_START) or _ZIP_END in payload[-_ZIP_END_AT:]:
            self._zip(where, payload, depth)
        elif b"%PDF-" in payload[:_PDF_START_AT]:
            self._pdf(where, payload)
        elif payload.startswith(_PACKED):
            self._unchecked(where)

    def _zip(self, where: str, payload: bytes, depth: int) -> None:
        """Scan a ZIP-based document (DOCX, XLSX, PPTX, ODT, EPUB, ZIP); archives within it are unchecked."""
        try:
            with zipfile.ZipFile(io.BytesIO(payload)) as archive:
                members = archive.infolist()
                self._text(where, archive.comment.decode("latin-1"))
                for member in members[:MAX_MEMBERS]:
                    for text in (member.filename, member.comment.decode("latin-1")):
                        self._text(where, text)
                    self._member(where, archive, member, depth)
                if len(members) > MAX_MEMBERS:
                    self._unchecked(where)
        except (zipfile.BadZipFile, ValueError, OSError, RuntimeError, NotImplementedError, zlib.error, EOFError):
            self._unchecked(where)

    def _member(self, where: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, depth: int) -> None:
        if member.flag_bits & 1 or member.file_size > self._inflatable:  # bit 0: encrypted
            self._unchecked(where)
            return
        with archive.open(member) as opened:
            content = opened.read(self._inflatable)
        self._inflatable -= len(content)
        if content.startswith((_ZIP_START, *_PACKED)):
            self._unchecked(where)
        else:
            self._file(where, content, depth)
            self.binary(where, content)

    def _pdf(self, where: str, payload: bytes) -> None:
        found = pdf.contents(payload, self._inflatable)
        self._inflatable -= found.inflated
        for content in found.searchable:
            self.binary(where, content)
        if not found.complete:
            self._unchecked(where)

    def _text(self, where: str, text: str, *, markup: bool = False) -> None:
        if not text:
            return
        for what in found_in(text, self._needles, markup=markup):
            self._found(where, what)
        self._plain(where, "\n".join((*_base64_runs(text), _uuencoded(text))))

    def _plain(self, where: str, text: str) -> None:
        """Search *text* only as it stands."""
        for finding in self._needles.find(text):
            self._found(where, finding.what)

    def _found(self, where: str, what: str) -> None:
        self.places[Place(where=where, action="held", what=what)] = None

    def _unchecked(self, where: str) -> None:
        self.places[Place(where=where, action="unchecked", what="contents")] = None


def _uuencoded(text: str) -> str:
    """Return the content of files that are uuencoded within *text*, as some clients send them."""
    lines: list[bytes] = []
    for block in _UUENCODED.finditer(text):
        for line in block[0].splitlines():
            with contextlib.suppress(binascii.Error):  # the first, "begin", holds no data; others may be damaged
                lines.append(binascii.a2b_uu(line.encode("ascii", "replace")))
    return b"".join(lines).translate(_ASCII).decode("ascii")


def _base64_runs(text: str) -> Iterator[str]:
    """Yield each run of base64 within *text*, decoded: keys in armour, data: links, encoded words, PHOTO lines."""
    for run in _BASE64_RUN.finditer(text):
        if run.end() - run.start() < _BASE64_LEAST:
            continue  # most words: their digits are not worth counting
        digits = _NO_DIGITS.sub("", run[0]).translate(_URL_SAFE)
        if len(digits) >= _BASE64_LEAST:
            for shift in range(4) if len(digits) <= _BASE64_SHIFTED else (0,):
                whole = digits[shift : len(digits) - 1 if (len(digits) - shift) % 4 == 1 else None]
                padding = "=" * (-len(whole) % 4)
                yield binascii.a2b_base64(whole + padding).translate(_ASCII).decode("ascii")
