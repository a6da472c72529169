"""Reading a message: any bytes become a :class:`Message`, which lists what could not be read."""

from dataclasses import replace
from urllib.parse import unquote

from email_handler.mail.addresses import read_mailboxes
from email_handler.mail.charsets import codec_name, decode
from email_handler.mail.dates import read_date
from email_handler.mail.encodings import LONE_LAST, decode_base64, decode_quoted_printable, decode_uuencoded
from email_handler.mail.filenames import default_name, safe_filename
from email_handler.mail.flowed import unflow
from email_handler.mail.headers import (
    MAX_FIELDS,
    MAX_SECTION,
    clean,
    decode_header,
    message_ids,
    parse_parameters,
    split_fields,
)
from email_handler.mail.html import MAX_HTML, Page, html_text, read_page
from email_handler.mail.message import FIELDS_LEFT_OUT, Attachment, Header, Message, Part, unread
from email_handler.mail.patterns import regex
from email_handler.mistakes import Mistake, attempt

MAX_DEPTH = 30  # nested multiparts; forwarding chains nest by message/rfc822, which is not entered
MAX_PARTS = 1000  # entities of one message; real messages with many inline images have about 200
MAX_LOOKUPS = 20_000  # places that look like a delimiter; hostile messages are full of them
MAX_NESTED = 3  # levels of nested messages that are searched for text if the outer ones have none
MAX_FOLLOWING = 2048  # bytes after a header section that may declare the first part's charset
MAX_TITLE = 80  # characters of a nested message's subject that become its file name

_BLANK_LF = regex(rb"\n\r?\n")
_BLANK_CR = regex(rb"\r\r")
_END = regex(rb"\Z")
_BLANK_FIRST = regex(rb"\r?\n|\r")
_LINE_ENDS = b"\r\n"
_DELIMITER_REST = regex(rb"(--)?[ \t]*+(?:\r\n|\r|\n|\Z)")
_BOUNDARY = regex(rb"(?i)(?:^|[\r\n])--([^\r\n]{1,200})(?:\r\n|\r|\n)Content-")
_META_CHARSET = regex(rb"(?i)<meta[^>]{1,200}charset\s*=\s*[\"']?([a-z0-9_.:-]{1,40})")
_CID = regex(r"(?i)cid:([^\"'\s<>)]{1,500})")
_PROSE = regex(rb"\s*+[^\s=]++ ++\S")  # a first line of several words is not base64
_UUENCODINGS = ("x-uuencode", "uuencode", "uue", "x-uue")
_IDENTITIES = ("", "7bit", "8bit", "binary", "7-bit", "8-bit")
_MARKED_UP = ("text/html", "text/enriched", "text/richtext")
_NOT_PROSE = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rfc822-headers")


def parse(raw: bytes) -> Message:
    """Return *raw* (any bytes) as a :class:`Message`. Never raises; takes time linear in ``len(raw)``.

    If a mistake of ours keeps it from being read, the message has a ``mistake``, and its header alone if that can be
    read, so that it still has a sender and a place in a thread.
    """
    message = attempt(_read, raw)
    if not isinstance(message, Mistake):
        return message
    mistake = message
    header_end = min(found.end() for blank in (_BLANK_LF, _BLANK_CR, _END) if (found := blank.search(raw)))
    header = attempt(_read, raw[:header_end])
    if isinstance(header, Mistake):
        return unread(raw, mistake)
    return replace(header, size=len(raw), raw=raw, mistake=mistake)


def _read(raw: bytes) -> Message:
    reader = _Reader(raw)
    root = reader.entity(0, len(raw), depth=0, default_type="text/plain")
    headers = root.headers
    bodies = _bodies(root)
    html = "\n".join(text for leaf, text in bodies.values() if leaf.content_type == "text/html")
    page = read_page(html) if html and len(bodies) == 1 else None
    fields: dict[str, list[str]] = {}
    for header in headers:
        fields.setdefault(header.name.lower(), []).append(header.raw)

    def first(name: str) -> str:
        return fields[name][0] if name in fields else ""

    from_values = fields.get("from", [])
    return Message(
        headers=headers,
        root=root,
        subject=decode_header(first("subject")),
        from_=read_mailboxes(from_values),
        from_fields=len(from_values),
        sender=read_mailboxes(fields.get("sender", ())),
        reply_to=read_mailboxes(fields.get("reply-to", ())),
        to=read_mailboxes(fields.get("to", ())),
        cc=read_mailboxes(fields.get("cc", ())),
        message_id=next(message_ids(first("message-id")), ""),
        in_reply_to=tuple(message_ids(first("in-reply-to"))),
        references=tuple(message_ids(first("references"))),
        date=read_date(first("date")),
        text=_text(root, bodies, page),
        html=html,
        page=page,
        attachments=_attachments(root, bodies, html),
        defects=tuple(reader.defects),
        size=len(raw),
        raw=raw,
    )


def part_text(part: Part) -> str:
    """Return the text of the leaf *part*, decoded by its charset, lines ended by LF.

    HTML stays HTML; the paragraphs of flowed text (RFC 3676) are joined.
    """
    charset = part.parameters.get("charset", "")
    if not charset and part.content_type == "text/html" and (declared := _META_CHARSET.search(part.payload, 0, 2048)):
        charset = declared[1].decode("ascii", "replace")
    text = decode(part.payload, charset)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if part.content_type == "text/plain" and part.parameters.get("format", "").lower() == "flowed":
        return unflow(text, delsp=part.parameters.get("delsp", "").lower() == "yes")
    return text


class _Reader:
    """One pass over a message. It works on offsets into the received bytes; only payloads are copied."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.parts = 0
        self.lookups = 0
        self.defects: dict[str, None] = {}
        # If lines end in CR alone (old Macs), two of them end a header section.
        self.blank_line = _BLANK_LF if b"\n" in raw else _BLANK_CR

    def entity(self, start: int, end: int, *, depth: int, default_type: str) -> Part:
        """Read the entity in ``raw[start:end]``: its header section, then its body."""
        self.parts += 1
        body, fields = self.header_section(start, end)
        raw_of = {name.lower(): value for name, value in reversed(fields)}  # the topmost of each name
        content_type, parameters = parse_parameters(raw_of.get("content-type", ""))
        if "content-type" not in raw_of:
            content_type = default_type
        elif content_type.count("/") != 1 or not all(content_type.split("/")):
            content_type = "text/plain"  # RFC 2045 §5.2
            self.defect("unreadable content type")
        disposition, of_disposition = parse_parameters(raw_of.get("content-disposition", ""))
        content_id = raw_of.get("content-id", "")
        children: tuple[Part, ...] = ()
        payload = b""
        if content_type.startswith("multipart/"):
            children = self.multipart(content_type, parameters.get("boundary", ""), body, end, depth)
            if not children:  # keep its text all the same
                content_type = "text/html" if b"<html" in self.raw[body : body + 4096].lower() else "text/plain"
        if not children:
            payload = self.payload(raw_of.get("content-transfer-encoding", ""), body, end, content_type)
            charset = parameters.get("charset", "")
            if charset and content_type.startswith("text/") and not codec_name(charset):
                self.defect("unknown charset")
        return Part(
            content_type=content_type,
            parameters=parameters,
            disposition="" if not disposition else "inline" if disposition == "inline" else "attachment",
            filename=safe_filename(of_disposition.get("filename") or parameters.get("name", "")),
            content_id=next(message_ids(content_id), "") or clean(content_id),
            headers=tuple(Header(name=name, raw=raw, value=decode_header(raw)) for name, raw in fields),
            payload=payload,
            children=children,
        )

    def header_section(self, start: int, end: int) -> tuple[int, list[tuple[str, str]]]:
        """Return the offset of the body, and the fields as name and undecoded value."""
        if (blank := _BLANK_FIRST.match(self.raw, start, end)) is not None:
            return blank.end(), []
        blank = self.blank_line.search(self.raw, start, end)
        section_end, body = (blank.start() + 1, blank.end()) if blank else (end, end)
        section = self.raw[start : min(section_end, start + MAX_SECTION + 1)]
        following = b"" if section.isascii() else self.raw[body : min(body + MAX_FOLLOWING, end)]
        fields, rest_at, cut = split_fields(section, following)
        if cut:
            self.defect("header section cut")
        if cut and start == 0 and (len(section) > MAX_SECTION or len(fields) == MAX_FIELDS):
            self.defect(FIELDS_LEFT_OUT)
        if rest_at is not None:
            self.defect("no blank line behind the headers")
            body = start + rest_at
        return body, fields

    def multipart(self, content_type: str, boundary: str, body: int, end: int, depth: int) -> tuple[Part, ...]:
        """Read the parts of a multipart body: none if it has no usable boundary or is nested too deep."""
        if depth >= MAX_DEPTH:
            self.defect("nested too deep")
            return ()
        spans = self.spans(boundary.encode("utf-8", "replace"), body, end) if boundary else []
        if not spans and (guess := _BOUNDARY.search(self.raw, body, end)) is not None:
            self.defect("boundary not as declared")
            spans = self.spans(guess[1], body, end)
        if not spans:
            self.defect("multipart without a usable boundary")
        default_type = "message/rfc822" if content_type == "multipart/digest" else "text/plain"  # RFC 2046 §5.1.5
        children: list[Part] = []
        for start, stop in spans:
            if self.parts >= MAX_PARTS:  # the rest becomes one part
                self.defect("too many parts")
                children.append(self.entity(start, spans[-1][1], depth=MAX_DEPTH, default_type=default_type))
                break
            children.append(self.entity(start, stop, depth=depth + 1, default_type=default_type))
        return tuple(children)

    def spans(self, boundary: bytes, body: int, end: int) -> list[tuple[int, int]]:
        """Return the start and end of each part between the delimiter lines of *boundary* (RFC 2046 §5.1.1).

        The line end before a delimiter belongs to it. Without a closing delimiter, the last part extends to the end.
        """
        raw = self.raw
        delimiter = b"--" + boundary
        found: list[tuple[int, int]] = []
        begin = -1
        at = raw.find(delimiter, body, end)
        while at >= 0:
            self.lookups += 1
            line_start = at == body or raw[at - 1] in _LINE_ENDS
            rest = _DELIMITER_REST.match(raw, at + len(delimiter), end) if line_start else None
            if rest is not None:
                if begin < 0 and rest[1]:  # closed before the first part
                    break
                if 0 <= begin < at:
                    found.append((begin, max(self.without_line_end(at), begin)))
                begin = rest.end()  # consecutive delimiters count as one
                if rest[1] and found:
                    begin = -1
                    break
                if len(found) > MAX_PARTS:
                    break
            if self.lookups > MAX_LOOKUPS:
                self.defect("too many delimiters")
                break
            at = raw.find(delimiter, at + len(delimiter), end)
        if begin >= 0:
            self.defect("no closing delimiter")
            found.append((begin, max(self.without_line_end(end), begin)))
        return found

    def without_line_end(self, at: int) -> int:
        """Return *at* without the line end before it, which belongs to the delimiter that follows."""
        if self.raw[at - 2 : at] == b"\r\n":
            return at - 2
        return at - 1 if self.raw[at - 1] in _LINE_ENDS else at

    def payload(self, encoding: str, start: int, end: int, content_type: str) -> bytes:
        """Return ``raw[start:end]`` with its transfer encoding decoded (RFC 2045 §6).

        Base64 stays undecoded if it is plain text with a wrong label, or a file whose last character stands alone.
        """
        encoding = clean(encoding.partition(";")[0]).strip("\"' ").lower()
        body = self.raw[start:end]
        if encoding == "base64":
            is_text = content_type.startswith("text/")
            if is_text and _PROSE.match(body):
                self.defect("malformed base64")
                return body
            decoded, missing = decode_base64(body)
            if missing:
                self.defect("malformed base64")
            return b"".join(body.splitlines()) if missing == LONE_LAST and not is_text else decoded
        if encoding == "quoted-printable":
            return decode_quoted_printable(body)
        if encoding in _UUENCODINGS:
            return decode_uuencoded(body)
        if encoding not in _IDENTITIES:
            self.defect("unknown transfer encoding")
        return body

    def defect(self, name: str) -> None:
        self.defects[name] = None


def _bodies(root: Part) -> dict[int, tuple[Part, str]]:
    """Return the leaves that are body text, each with its text, in order, by ``id``: parts may be equal."""
    bodies: dict[int, tuple[Part, str]] = {}
    for leaf in root.walk():
        is_text = not leaf.children and leaf.content_type in ("text/plain", "text/html")
        if is_text and leaf.disposition != "attachment" and (not leaf.filename or not bodies):
            bodies[id(leaf)] = (leaf, part_text(leaf))
    return bodies


def _attachments(root: Part, bodies: dict[int, tuple[Part, str]], html: str) -> tuple[Attachment, ...]:
    leaves = [leaf for leaf in root.walk() if not leaf.children and id(leaf) not in bodies]
    named = any(leaf.content_id for leaf in leaves)
    shown = {unquote(match[1]) for match in _CID.finditer(html)} if named else frozenset()
    return tuple(
        Attachment(
            number=number,
            name=leaf.filename or _default_name(leaf, number),
            content_type=leaf.content_type,
            inline=leaf.disposition == "inline" or (bool(leaf.content_id) and leaf.content_id in shown),
            payload=leaf.payload,
            part=leaf,
        )
        for number, leaf in enumerate(leaves, start=1)
    )


def _default_name(leaf: Part, number: int) -> str:
    if leaf.content_type == "message/rfc822":
        fields, *_ = split_fields(leaf.payload[:MAX_SECTION])
        subject = next((value for name, value in fields if name.lower() == "subject"), "")
        if title := safe_filename(decode_header(subject)[:MAX_TITLE]):
            return f"{title}.eml"
    if leaf.payload.startswith(b"-----BEGIN PGP MESSAGE-----"):
        return "encrypted.asc"
    return default_name(leaf.content_type, number)


def _text(root: Part, bodies: dict[int, tuple[Part, str]], page: Page | None = None, nesting: int = 0) -> str:
    """Return the visible text of *root*. *page*: the contents of its only body, if that is HTML and was read."""
    text = _body_text(root, bodies, page)
    return text if text.strip() else _other_text(root, nesting) or text


def _body_text(part: Part, bodies: dict[int, tuple[Part, str]], page: Page | None) -> str:
    """Return the visible text of *part*'s bodies: of alternatives the plain one, else the text of the HTML."""
    if not part.children:
        _, text = bodies.get(id(part), (part, ""))
        return html_text(text, MAX_HTML // len(bodies), page) if text and part.content_type == "text/html" else text
    if part.content_type == "multipart/alternative":
        blank = ""
        for child in sorted(part.children, key=_has_html):
            text = _body_text(child, bodies, page)
            if text.strip():
                return text
            blank = blank or text
        return blank
    texts = [text for child in part.children if (text := _body_text(child, bodies, page)).strip()]
    return texts[0] if len(texts) == 1 else "\n\n".join(text.strip("\n") for text in texts)


def _has_html(part: Part) -> bool:
    return any(leaf.content_type == "text/html" for leaf in part.walk())


def _other_text(root: Part, nesting: int) -> str:
    """Return the first text outside the bodies of *root*, for a message without body text: a text part's, else that
    of a nested message."""
    leaves = [leaf for leaf in root.walk() if not leaf.children]
    for leaf in leaves:
        if leaf.content_type.startswith("text/") and leaf.content_type not in _NOT_PROSE:
            text = part_text(leaf)
            text = html_text(text) if leaf.content_type in _MARKED_UP else text
            if text.strip():
                return text
    for leaf in leaves:
        if leaf.content_type in ("message/rfc822", "message/global") and nesting < MAX_NESTED:
            inner = _Reader(leaf.payload).entity(0, len(leaf.payload), depth=0, default_type="text/plain")
            text = _text(inner, _bodies(inner), nesting=nesting + 1)
        else:
            text = part_text(leaf) if leaf.content_type.startswith("message/") else ""
        if text.strip():
            return text
    return ""
