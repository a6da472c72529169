"""Reading a message: any bytes become a :class:`Message` and a list of what could not be read."""

import binascii
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from email_handler.mail.addresses import read_mailboxes
from email_handler.mail.charsets import codec_name, decode
from email_handler.mail.filenames import made_up_name, safe_filename
from email_handler.mail.flowed import unflow
from email_handler.mail.headers import (
    MAX_SECTION,
    clean,
    decode_base64,
    decode_header,
    message_ids,
    parse_parameters,
    split_fields,
)
from email_handler.mail.html import MAX_HTML, html_text, read_page
from email_handler.mail.message import Attachment, Header, Message, Part

MAX_DEPTH = 30  # multiparts within each other; forwarding chains nest by message/rfc822, which is not entered
MAX_PARTS = 1000  # entities of one message; real mail with many inline images has some 200
MAX_LOOKUPS = 20_000  # places that look like a delimiter; hostile mail is full of them
MAX_NESTED = 3  # messages within messages that are searched for text where the outer ones have none
MAX_UU_LINES = 1000  # short lines of a uuencoded part; hostile ones have nothing else
FOLLOWING = 2048  # octets behind a header section in which a first part's charset is looked for
MAX_TITLE = 80  # characters of a nested message's subject that name its file
MAX_DATE = 100  # characters of a Date value

_BLANK_LF = re.compile(rb"\n\r?\n")
_BLANK_CR = re.compile(rb"\r\r")
_BLANK_FIRST = re.compile(rb"\r?\n|\r")
_LINE_ENDS = b"\r\n"
_DELIMITER_REST = re.compile(rb"(--)?[ \t]*+(?:\r\n|\r|\n|\Z)")
_BOUNDARY = re.compile(rb"(?i)(?:^|[\r\n])--([^\r\n]{1,200})(?:\r\n|\r|\n)Content-")
_META_CHARSET = re.compile(rb"(?i)<meta[^>]{1,200}charset\s*=\s*[\"']?([a-z0-9_.:-]{1,40})")
_CID = re.compile(r"(?i)cid:([^\"'\s<>)]{1,500})")
_PROSE = re.compile(rb"\s*+[^\s=]++ ++\S")  # a first line of several words is no base64
_LONE = 3  # characters missing: the last one stands alone
_UUENCODINGS = ("x-uuencode", "uuencode", "uue", "x-uue")
_IDENTITIES = ("", "7bit", "8bit", "binary", "7-bit", "8-bit")
_MARKED_UP = ("text/html", "text/enriched", "text/richtext")
_DATA = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rfc822-headers")


def parse(raw: bytes) -> Message:
    """Read *raw* (any bytes at all) into a :class:`Message`. Never raises; time linear in ``len(raw)``."""
    reader = _Reader(raw)
    root = reader.entity(0, len(raw), depth=0, default_type="text/plain")
    headers = root.headers
    bodies = _bodies(root)
    html = "\n".join(text for leaf, text in bodies.values() if leaf.content_type == "text/html")
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
        date=_date(first("date")),
        text=_text(root, bodies, nesting=0),
        html=html,
        page=read_page(html) if html and len(bodies) == 1 else None,
        attachments=_attachments(root, bodies, html),
        defects=tuple(reader.defects),
        size=len(raw),
        raw=raw,
    )


def part_text(part: Part) -> str:
    """Return the text of a leaf *part*, decoded by its charset, lines ended by LF: HTML as HTML, flowed text
    (RFC 3676) with its paragraphs joined."""
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
    """One message being taken apart. Works on offsets into the received bytes; only payloads are copied."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.parts = 0
        self.lookups = 0
        self.defects: dict[str, None] = {}
        # Where lines end by CR alone (old Macs), a header section ends at two of them.
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
        children: tuple[Part, ...] = ()
        payload = b""
        if content_type.startswith("multipart/"):
            children = self.multipart(content_type, parameters.get("boundary", ""), body, end, depth)
            if not children:  # its text is there all the same
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
            content_id=next(message_ids(content_id), "") or clean(content_id)
            if (content_id := raw_of.get("content-id", ""))
            else "",
            headers=tuple(Header(name=name, raw=raw, value=decode_header(raw)) for name, raw in fields),
            payload=payload,
            children=children,
        )

    def header_section(self, start: int, end: int) -> tuple[int, list[tuple[str, str]]]:
        """Return where the body begins, and the fields."""
        if (blank := _BLANK_FIRST.match(self.raw, start, end)) is not None:
            return blank.end(), []
        blank = self.blank_line.search(self.raw, start, end)
        section_end, body = (blank.start() + 1, blank.end()) if blank else (end, end)
        section = self.raw[start : min(section_end, start + MAX_SECTION + 1)]
        following = b"" if section.isascii() else self.raw[body : min(body + FOLLOWING, end)]
        fields, rest_at, cut = split_fields(section, following)
        if cut:
            self.defect("header section cut")
        if rest_at is not None:
            self.defect("no blank line behind the headers")
            body = start + rest_at
        return body, fields

    def multipart(self, content_type: str, boundary: str, body: int, end: int, depth: int) -> tuple[Part, ...]:
        """Read the parts of a multipart body; none where it has no usable boundary or lies too deep."""
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
            if self.parts >= MAX_PARTS:  # what is left becomes one part
                self.defect("too many parts")
                children.append(self.entity(start, spans[-1][1], depth=MAX_DEPTH, default_type=default_type))
                break
            children.append(self.entity(start, stop, depth=depth + 1, default_type=default_type))
        return tuple(children)

    def spans(self, boundary: bytes, body: int, end: int) -> list[tuple[int, int]]:
        """Return where the parts between the delimiter lines of *boundary* begin and end (RFC 2046 §5.1.1).

        The line break before a delimiter belongs to it. The last part runs to the end where no delimiter closes.
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
                if begin < 0 and rest[1]:  # closed before it was opened: there are no parts
                    break
                if 0 <= begin < at:
                    found.append((begin, max(self.without_line_end(at), begin)))
                begin = rest.end()  # delimiters in a row are one
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
        """Return *at* less the line end before it: it belongs to the delimiter that follows."""
        if self.raw[at - 2 : at] == b"\r\n":
            return at - 2
        return at - 1 if self.raw[at - 1] in _LINE_ENDS else at

    def payload(self, encoding: str, start: int, end: int, content_type: str) -> bytes:
        """Return ``raw[start:end]`` with its transfer encoding undone (RFC 2045 §6).

        What is no base64 stays as it came: plain words that were labelled so, and files cut by a lone character.
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
            return b"".join(body.splitlines()) if missing == _LONE and not is_text else decoded
        if encoding == "quoted-printable":
            return binascii.a2b_qp(body)
        if encoding in _UUENCODINGS:
            return _uudecoded(body)
        if encoding not in _IDENTITIES:
            self.defect("unknown transfer encoding")
        return body

    def defect(self, constant: str) -> None:
        self.defects[constant] = None


def _uudecoded(body: bytes) -> bytes:
    split = body.splitlines()
    if len(split) > MAX_UU_LINES + len(body) // 20:  # full lines have 61 characters
        return body
    lines = iter(split)
    decoded = []
    for line in lines:
        if line.startswith(b"begin "):
            break
    for line in lines:
        if line.strip() == b"end":
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:  # some encoders write more characters than the line's length says
            length = (((line[0] - 32) & 63) * 4 + 5) // 3  # of the count and the characters it asks for
            try:
                decoded.append(binascii.a2b_uu(line[:length]))
            except binascii.Error:
                continue
    return b"".join(decoded) or body


def _bodies(root: Part) -> dict[int, tuple[Part, str]]:
    """Return the leaves that are the message's text with their text, in order, by ``id``: parts may be equal."""
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
            name=leaf.filename or _made_up_name(leaf, number),
            content_type=leaf.content_type,
            inline=leaf.disposition == "inline" or (bool(leaf.content_id) and leaf.content_id in shown),
            payload=leaf.payload,
            part=leaf,
        )
        for number, leaf in enumerate(leaves, start=1)
    )


def _made_up_name(leaf: Part, number: int) -> str:
    if leaf.content_type == "message/rfc822":
        fields, *_ = split_fields(leaf.payload[:MAX_SECTION])
        subject = next((value for name, value in fields if name.lower() == "subject"), "")
        if title := safe_filename(decode_header(subject)[:MAX_TITLE]):
            return f"{title}.eml"
    if leaf.payload.startswith(b"-----BEGIN PGP MESSAGE-----"):
        return "encrypted.asc"
    return made_up_name(leaf.content_type, number)


def _text(root: Part, bodies: dict[int, tuple[Part, str]], nesting: int) -> str:
    text = _body_text(root, bodies)
    return text if text.strip() else _last_resort(root, nesting) or text


def _body_text(part: Part, bodies: dict[int, tuple[Part, str]]) -> str:
    """Return the text a reader sees of *part*: of alternatives the plain one, else HTML as text."""
    if not part.children:
        _, text = bodies.get(id(part), (part, ""))
        return html_text(text, MAX_HTML // len(bodies)) if text and part.content_type == "text/html" else text
    if part.content_type == "multipart/alternative":
        blank = ""
        for child in sorted(part.children, key=_has_html):
            text = _body_text(child, bodies)
            if text.strip():
                return text
            blank = blank or text
        return blank
    texts = [text for child in part.children if (text := _body_text(child, bodies)).strip()]
    return texts[0] if len(texts) == 1 else "\n\n".join(text.strip("\n") for text in texts)


def _has_html(part: Part) -> bool:
    return any(leaf.content_type == "text/html" for leaf in part.walk())


def _last_resort(root: Part, nesting: int) -> str:
    """Return text for a mail that has none of its own: the first other text in it, at last that of a message in it."""
    leaves = [leaf for leaf in root.walk() if not leaf.children]
    for leaf in leaves:
        if leaf.content_type.startswith("text/") and leaf.content_type not in _DATA:
            text = part_text(leaf)
            text = html_text(text) if leaf.content_type in _MARKED_UP else text
            if text.strip():
                return text
    for leaf in leaves:
        if leaf.content_type in ("message/rfc822", "message/global") and nesting < MAX_NESTED:
            inner = _Reader(leaf.payload).entity(0, len(leaf.payload), depth=0, default_type="text/plain")
            text = _text(inner, _bodies(inner), nesting + 1)
        else:
            text = part_text(leaf) if leaf.content_type.startswith("message/") else ""
        if text.strip():
            return text
    return ""


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value[:MAX_DATE])
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        date.astimezone(UTC)  # raises for what no clock can show
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return date
