"""The leak gate: nothing that the owner keeps private leaves in anything that a reader's program can show.

It reads the finished message and trusts nothing that composed it. What it did not read in full it reports as unchecked.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from email_handler.conversations.owners import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import address_domain
from email_handler.mail.charsets import codec_name, decode
from email_handler.mail.documents import archives, formats
from email_handler.mail.documents.plain import as_utf8, declared_charset, is_binary, is_surely_binary
from email_handler.mail.documents.reading import (
    DAMAGED,
    ENCRYPTED,
    KERN,
    LANGUAGE,
    OWN_ENTITIES,
    TOO_DEEP,
    TOO_LARGE,
    TOO_MANY,
    UNKNOWN,
    Budget,
    Found,
    Member,
    Name,
    Raw,
    Text,
    Unread,
)
from email_handler.mail.encodings import decode_quoted_printable
from email_handler.mail.filenames import without_endings
from email_handler.mail.message import Header, Message, Part
from email_handler.mail.parsing import parse
from email_handler.mail.patterns import regex
from email_handler.outgoing.composed import Change, Composed, Place, Unchecked
from email_handler.outgoing.leak_gate import decodings, packed, views
from email_handler.outgoing.leak_gate.masking import found_in
from email_handler.outgoing.leak_gate.needles import PRIVATE, Needles

MAX_DEPTH = 8  # levels of files within files and messages within messages
_MAX_NAME = 200  # characters of a file's name that are reported
_LONG = 4096  # bytes from which it is faster to look whether a message stands in another than to read it again
_FOREIGN = 0.3  # of the bytes of a text are beyond ASCII: with less, its words can be read in any charset
_FEWEST = 6  # different characters of an address such as "me@x.de"
_ENCRYPTED = frozenset(("application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted"))
_UNREAD = (
    (ENCRYPTED, regex(
        r"-----BEGIN (?:PGP MESSAGE|ENCRYPTED [A-Z ]{1,20}|CMS|PKCS7)-----|^Proc-Type: 4,ENCRYPTED", re.MULTILINE
    )),
    (OWN_ENTITIES, regex("<!entity", re.IGNORECASE)),  # XML §4.2: a name may stand for any part of an address
    # yEnc 1.3, BinHex 4.0 (RFC 1741)
    (UNKNOWN, regex(r"^=ybegin [^\n]{0,200}size=|^\(This file must be converted with BinHex", re.MULTILINE)),
)  # fmt: skip
"""What a text holds that is not read."""

_MESSAGES = frozenset(("message/rfc822", "message/global", "message/news"))
_MESSAGE = regex(
    rb"(?:\xef\xbb\xbf)?\s{0,99}+(?:From [^\n]{1,200}\n)?(?:[!-9;-~]{1,76}:[^\n]{0,998}\n(?:[ \t][^\n]{0,998}\n){0,99}){0,99}?"
    rb"(?:return-path|received|from|to|subject|date|message-id|mime-version|content-type|delivered-to|"
    rb"authentication-results|dkim-signature|x-[a-z0-9-]{1,60}):",
    re.IGNORECASE,
)
"""How a message begins, in a file of any type: many clients attach one as ``application/octet-stream``."""
_QUOTED = regex(rb"^content-transfer-encoding:\s{0,9}quoted-printable", re.IGNORECASE | re.MULTILINE)
_NEXT = regex(rb"\n(?=From [^\n]{1,200}\n[!-9;-~]{1,76}:)")  # of several messages in one file (RFC 4155)
_DEFECTS = {"header section cut": DAMAGED, "nested too deep": TOO_DEEP, "too many parts": TOO_MANY}
_ASCII_BYTES = bytes(range(128))
_ASCII = bytes(range(128)) + b"\x7f" * 128  # no byte beyond ASCII is a letter of an address
_BLANK = regex(rb"[ \r\n]")
_QUOTED_PAIR = regex(r"\\(.)")
_CFWS = regex(r"\((?:[^()]|\([^()]{0,99}\)){0,200}\)|(?<=\.)[ \t]{1,9}|[ \t]{1,9}(?=\.)")
_WIDE = regex("[\x01-\x7f]\0((?:[\x01-\x7f]\0){4,}+)")  # UTF-16 behind another string's last letter
_APART = b"\n()\n"  # stands between two texts: no address goes on behind it
_MANY = 4  # texts of headers that are worth looking at together
_GAPS = regex(rb"\A\0+|\0{4,}")  # between what two runs of digits encode: no string ends there
_END = "\2"  # of a string in bytes: no letter, and no boundary that an address could go on behind


def for_recipients(identity: Identity, recipients: tuple[EmailAddress, ...]) -> Identity:
    """Return *identity* for a message to *recipients*.

    A private address that is the only recipient is not private to them: an owner who tries their own public address
    may read their own address in the reply.
    """
    if len(recipients) != 1:
        return identity
    others = tuple(a for a in identity.private_addresses if a.lower() != recipients[0].lower())
    return replace(identity, private_addresses=others)


def composed(
    raw: bytes, needles: Needles, places: tuple[Place, ...] = (), changes: tuple[Change, ...] = ()
) -> Composed:
    """Return *raw* as :class:`Composed`, held if :func:`check` finds anything.

    *places* and *changes* list what was changed before.
    """
    found, unchecked = check(raw, needles)
    return Composed(raw=raw, places=(*places, *found), held=bool(found), unchecked=unchecked, changes=changes)


def check(raw: bytes, needles: Needles) -> tuple[tuple[Place, ...], tuple[Unchecked, ...]]:
    """Return every place of the finished message *raw* that reveals what is private (action ``held``), and every part
    that was not read in full, with the reason. Never raises; linear in *raw* and in the budget."""
    scan = _Scan(needles)
    scan.message(parse(raw), "", "", 0)
    reported = {place.what for place in scan.places}
    # Also what stands between the parts, and what parsing dropped. Soft line breaks are undone first: "me@here.example="
    # at the end of a line may be the beginning of somebody else's address.
    scan.strings("message", [views.letters_of(decode_quoted_printable(raw))], is_text=True)
    places = tuple(place for place in scan.places if place.where != "message" or place.what not in reported)
    return places, tuple(scan.unchecked)


def reveals(part: Part, needles: Needles) -> bool:
    """Return whether the leaf *part* holds anything that must not leave."""
    scan = _Scan(needles)
    scan.payload("", part.filename, part, 0)
    return bool(scan.places)


class _Scan:
    """One pass through a message under one budget. ``places`` and ``unchecked`` hold each once, in order."""

    def __init__(self, needles: Needles) -> None:
        self._needles = needles
        addresses = needles.identity.private_addresses
        self._addresses = [address.lower() for address in addresses]
        self._private_hosts = set(map(address_domain, addresses)) - {needles.identity.domain.lower()}
        self._budget = Budget()
        self._harmless: set[str] = set()  # texts of headers that hold nothing
        self._around = b""  # the message that is being read, once its text has been
        self.places: dict[Place, None] = {}
        self.unchecked: dict[Unchecked, None] = {}

    def message(self, message: Message, prefix: str, path: str, depth: int) -> None:
        """Scan *message*, at *depth* levels within the finished one. *prefix* begins the names of its places."""
        numbers = {id(attachment.part): attachment.number for attachment in message.attachments}
        self._headers(message.root, f"{prefix}header ", depth)
        for number, part in enumerate(message.root.walk(), 1):
            if id(part) in numbers:
                where = f"{prefix}attachment {numbers[id(part)]} ({part.content_type})"
            else:
                where = f"{prefix}{part.content_type} part {number}"
            if part is not message.root:
                self._headers(part, f"{where} header ", depth)
            self._name(f"{where} name", part.filename)
            self._text(f"{where} name", part.content_id)
            if part.payload:
                self.payload(where, _joined(path, part.filename), part, depth)
        for defect in message.defects:
            if defect in _DEFECTS:
                self._unread(prefix.removesuffix(": ") or "message", path, _DEFECTS[defect])

    def _headers(self, part: Part, prefix: str, depth: int) -> None:
        written = [(prefix + (header.name if header.name.isascii() else "?"), header) for header in part.headers]
        for where, texts in self._suspect([(where, _ways(header)) for where, header in written]):
            for text in texts:
                self._text(where, text)
        for where, header in written if not depth else ():
            # The owner's client names its host in ids. In a message that somebody else wrote, the host is their own
            # provider's, which may be the owner's too.
            if header.name.lower() in {"message-id", "content-id"}:
                host = header.value.strip(" <>").rpartition("@")[2].lower()  # of an id without "@", all of it
                if host in self._private_hosts:
                    self._found(where, PRIVATE)

    def _suspect(self, written: list[tuple[str, set[str]]]) -> list[tuple[str, set[str]]]:
        """Return those of *written* that may hold anything: thousands of short texts are looked at as one."""
        new = [(where, texts - self._harmless) for where, texts in written]
        every = set[str]().union(*(texts for _, texts in new))
        tame = {text for text in every if text.isprintable()}  # nothing in one of them changes what another means
        if len(tame) >= _MANY:
            together = _Scan(self._needles)
            together._text("", _APART.decode() + _APART.decode().join(sorted(tame)))
            if not together.places:
                self._harmless |= tame
        return [(where, texts - self._harmless) for where, texts in new]

    def payload(self, where: str, path: str, part: Part, depth: int) -> None:
        """Scan the payload of the leaf *part* as everything that a reader's program could take it for."""
        kind = part.content_type
        charset = part.parameters.get("charset", "") if kind.startswith(("text/", "message/")) else ""
        self._file(where, path, part.payload, depth, charset, kind)

    def _file(
        self,
        where: str,
        path: str,
        content: bytes,
        depth: int,
        charset: str = "",
        kind: str = "application/octet-stream",
    ) -> None:
        """Scan a file as the formats, the message and the text that it is, whatever its type says."""
        if refused := self._refused(content, depth):
            self._unread(where, path, refused)
            return
        readers = formats.readers_of(content)
        plain = as_utf8(content)
        is_text = kind.startswith(("text/", "message/")) or not is_binary(plain)
        messages = _messages(plain) if kind in _MESSAGES or _MESSAGE.match(plain) else []
        # A message within a message stands in its text too, and so on: each is read as text once, not at each level.
        is_read = bool(messages) and len(content) >= _LONG and content in self._around
        if is_text and not is_read:
            declared = charset or declared_charset(content)
            # A message's lines may be broken within a word; its parts are read one by one below.
            is_broken = bool(messages) and _QUOTED.search(plain) is not None
            self._text_file(where, path, plain, declared if plain is content else "", depth, is_broken=is_broken)
        around = self._around
        if is_text and not charset:
            self._around = content
        for message in messages:
            if self._budget.take_member():
                self.message(parse(message), f"{where}: ", path, depth + 1)
            else:
                self._unread(where, path, TOO_MANY)
        self._around = around
        if not is_text or readers:
            self.raw(where, content)
        else:
            self._rest_of_text(where, content, plain)
        for reader in readers:
            try:
                self._take(where, path, reader(content, self._budget), depth)
            except Exception:  # noqa: BLE001 - the net under all readers: what raises was not read in full
                self._unread(where, path, DAMAGED)
        if reason := _why_unread(content, kind, charset, is_text=is_text, is_known=bool(readers)):
            self._unread(where, path, reason)

    def _rest_of_text(self, where: str, content: bytes, plain: bytes) -> None:
        """Scan for strings what *plain*, the text *content* in UTF-8, may not show of it."""
        if b"\0" in plain or not _is_utf8(plain):
            self.raw(where, content, is_text=b"\0" not in content)
        elif plain is not content:  # a program that knows no better may have appended ASCII
            self.raw(where, content.replace(b"\0", b""))

    def _refused(self, content: bytes, depth: int) -> str:
        """Return why *content* is not read at all, "" if it is."""
        if depth > MAX_DEPTH:
            return TOO_DEEP
        return "" if self._budget.take(len(content)) else TOO_LARGE

    def _text_file(self, where: str, path: str, content: bytes, charset: str, depth: int, *, is_broken: bool) -> None:
        text = decode(content, charset)
        shown = decode(decode_quoted_printable(content), charset) if is_broken else text
        self._text(where, shown, markup=True)
        self._packed(where, path, text, depth)
        for reason, pattern in _UNREAD:
            if pattern.search(text):
                self._unread(where, path, reason)

    def _take(self, where: str, path: str, contents: Iterable[Found], depth: int) -> None:
        for found in contents:
            match found:
                case Text(text, is_markup):
                    if self._budget.take(len(text)):
                        self._text(where, text, markup=is_markup)
                        self._packed(where, path, text, depth)
                    else:
                        self._unread(where, path, TOO_LARGE)
                case Raw(content):
                    self.raw(where, content)
                case Name(name):
                    self._name(where, name)
                case Member(name, content):
                    self._file(where, _joined(path, name), content, depth + 1)
                case Unread(reason, name):
                    self._unread(where, _joined(path, name), reason)

    def raw(self, where: str, content: bytes, *, is_text: bool = False) -> None:
        """Scan bytes of any kind: as ASCII and as UTF-16. *is_text* says that they are text in an unknown charset.

        A zero ends a string here. Some strings have their length in front, which may look like a letter of the
        address: they are searched for by themselves.
        """
        text = views.letters_of(content) if is_text else content.translate(_ASCII).decode("ascii")
        texts = [text]
        if "\0" in text:
            texts = [text.replace("\0", _END), text.replace("\0\0", _END).replace("\0", "")]
            # A string behind a zero-ended one: its first zero is no part of a character.
            texts.append(_WIDE.sub(lambda run: _END + run[1].replace("\0", ""), text))
        if not self._needles.is_ascii:
            codecs = ("utf-8", "utf-16-le", "utf-16-be")
            decoded = (content[start:].decode(codec, "ignore") for codec in codecs for start in (0, 1))
            texts += [self._needles.strange.sub(_END, decodings.LETTERS.whole(one)) for one in decoded]
        self.strings(where, (LANGUAGE.sub(KERN, one) if "\x1b" in one else one for one in texts))

    def strings(self, where: str, texts: Iterable[str], *, is_text: bool = False) -> None:
        """Scan *texts* for strings that may stand anywhere in them."""
        for near in chain.from_iterable(views.near(seen, self._needles.may_be_in) for seen in texts):
            window = views.normal(near) if is_text else near
            found = [finding.what for finding in self._needles.find(window, strings=True)]
            lowered = window.lower()
            if any(f"{chr(len(a))}{a}" in lowered or f"{_END}{a}" in lowered for a in self._addresses):
                found.append(PRIVATE)
            for what in found:
                self._found(where, what)
            if found:  # one passage is enough to hold it
                return

    def _text(self, where: str, text: str, *, markup: bool = False, name: bool = False) -> None:
        if text:
            for what in found_in(text, self._needles, markup=markup, name=name):
                self._found(where, what)
            self._unpack(where, text)

    def _name(self, where: str, name: str) -> None:
        """Scan the name of a file, also as it is before endings that are no known file types."""
        for text in (name, without_endings(name)):
            self._text(where, text, name=True)

    def _unpack(self, where: str, text: str) -> None:
        for window in views.windows(text):
            for content in packed.unpacked(window, self._needles.least):
                self.raw(where, _GAPS.sub(b"\n", content))

    def _packed(self, where: str, path: str, text: str, depth: int) -> None:
        """Scan the files that *text* carries."""
        files, texts = list(packed.uuencoded(text)), list[bytes]()
        for content in packed.files(text, self._needles.least):
            if formats.is_certain(content) or _MESSAGE.match(content):
                files.append(content)
            elif not is_binary(content) and "\ufffd" not in content.decode("utf-8", "replace"):
                texts.append(content)
            else:
                self._take(where, path, archives.read_deflated(content, self._budget), depth + 1)
        if texts:
            files.append(_APART.join(texts))
        for content in files:
            if self._budget.take_member():
                self._file(where, path, content, depth + 1)
            else:
                self._unread(where, path, TOO_MANY)

    def _found(self, where: str, what: str) -> None:
        self.places[Place(where=where, action="held", what=what)] = None

    def _unread(self, where: str, path: str, reason: str) -> None:
        self.unchecked[Unchecked(where=where, name=path, reason=reason)] = None


def _ways(header: Header) -> set[str]:
    """Return the texts of *header*: comments and blanks may stand within an address (RFC 5322 §3.2.2, §4.4)."""
    unquoted = _QUOTED_PAIR.sub(r"\1", header.value)
    return {header.raw, header.value, header.name, unquoted, _CFWS.sub("", unquoted)}


def _is_utf8(content: bytes) -> bool:
    """Return whether *content* is UTF-8; what else it may be is a guess, in which signs may look like letters."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _why_unread(content: bytes, kind: str, charset: str, *, is_text: bool, is_known: bool) -> str:
    """Return why a file was not read in full, "" if it was: encrypted, part of a message (RFC 2046 §5.2.2), of no format
    that *is_known*, or text in a charset that nobody knows."""
    if kind in _ENCRYPTED and not is_known:
        return ENCRYPTED
    plain = as_utf8(content)
    is_no_text = not charset and (not is_text or is_surely_binary(plain))
    is_foreign = len(content.translate(None, _ASCII_BYTES)) > len(content) * _FOREIGN
    # Without a charset, text is read as ASCII; in EBCDIC, blanks and line ends are other bytes.
    is_read = codec_name(charset) if charset else _is_utf8(plain) or _BLANK.search(content)
    is_unread = is_no_text or (is_foreign and not is_read and len(set(content)) >= _FEWEST)
    return UNKNOWN if kind == "message/partial" or (is_unread and not is_known) else ""


def _joined(path: str, name: str) -> str:
    """Return the name of a file within a file, on one line."""
    whole = f"{path}/{name}" if path and name else path or name
    return "".join(c if c.isprintable() else " " for c in whole)[:_MAX_NAME]


def _messages(content: bytes) -> list[bytes]:
    """Return the messages that a file holds: several if it is a mailbox (RFC 4155)."""
    begun = content.lstrip(b"\xef\xbb\xbf\r\n")
    return _NEXT.split(begun) if begun.startswith(b"From ") else [begun]
