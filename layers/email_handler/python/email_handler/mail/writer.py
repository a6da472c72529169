"""Writing MIME: entities as values, and a message as bytes.

The standard library's :mod:`email` is not used: it folds ids into encoded words, raises on odd input and takes time
quadratic in a header's length. The output keeps SES's rules: CRLF, seven bits, lines of at most LINE_LIMIT bytes.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from email.header import Header as EncodedHeader
from itertools import count
from urllib.parse import quote

from email_handler.mail.addresses import ascii_address
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

LINE_LIMIT = 998  # bytes without CRLF (RFC 5322 §2.1.1); SES refuses longer lines
TEXT_LIMIT = 500  # characters of a header text: keeps a header section far below 16 KB
ADDRESS_LIMIT = 320  # characters of an address: 64 + 1 + 255 (RFC 5321 §4.5.3.1)
ID_LIMIT = 500  # characters of one Message-ID
NAME_LIMIT = 120  # characters of a file name
EXTENSION_LIMIT = 12  # characters of a file name's extension
PARAMETER_LIMIT = 200  # characters of any other parameter's value
PARAMETERS_LIMIT = 12  # parameters of one Content-Type

# Parameters of Content-Type that a reader needs. File names are written in Content-Disposition only.
_PARAMETERS = frozenset(
    (
        "charset", "component", "delsp", "format", "method", "micalg", "protocol", "report-type", "smime-type", "start",
        "start-info", "type", "version",
    )
)  # fmt: skip

_TOKEN = regex(r"[A-Za-z0-9!#$&^_.+-]{1,64}")
_TYPE = regex(r"[a-z0-9!#$&^_.+-]{1,64}/[a-z0-9!#$&^_.+-]{1,127}")
_ID = regex(r"[\x21-\x3b\x3d\x3f-\x7e]+")
_UNPRINTABLE = regex(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")
_META_CHARSET = regex(r"(<meta\b[^<>]{0,200}?charset\s{0,4}=\s{0,4}[\"']?)[\w.:-]{1,40}", re.IGNORECASE)
_LINE_END = regex(r"\r\n|\r|\n")
_OUTSIDE_7BIT_LINE = regex(rb"[^\t\r\n\x20-\x7e]|[^\n]{%d}|\r(?!\n)|(?<!\r)\n" % (LINE_LIMIT + 1))

type Fields = tuple[tuple[str, str], ...]
"""Header fields to write: name and encoded value, which may be folded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One MIME entity to write: a multipart with ``children``, or a leaf with an encoded ``body``.

    ``fields`` are its header fields except a multipart's Content-Type: :func:`write` chooses the boundary.
    """

    fields: Fields = ()
    body: bytes = b""
    multipart: str = ""  # subtype, "" for a leaf
    parameters: tuple[tuple[str, str], ...] = ()  # of a multipart
    children: tuple["Entity", ...] = ()


def one_line(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return *text* on one line, at most *limit* characters.

    Control characters, lone surrogates and direction overrides (they disguise names) are removed.
    """
    return " ".join(_UNPRINTABLE.sub(" ", text[: limit * 4]).split())[:limit]


def unstructured(text: str) -> str:
    """Return *text* as the value of a field such as Subject (RFC 5322 §2.2.1, RFC 2047)."""
    line = one_line(text)
    return line if line.isascii() and "=?" not in line else _encoded(line)


def mailbox(name: str, address: str) -> str:
    """Return ``name <address>`` for an address field. *name* may be any text, and so may the domain of *address*."""
    address, name = one_line(ascii_address(address), ADDRESS_LIMIT), one_line(name, 200)
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        return f"{_quoted(name)} <{address}>"
    return f"{_encoded(name)}\r\n <{address}>"


def message_ids(ids: Iterable[str]) -> str:
    """Return *ids* (without angle brackets) as the value of References or In-Reply-To, each whole on its own line.

    Ids that cannot be written (spaces, 8-bit, over ID_LIMIT) are left out.
    """
    return "\r\n ".join(f"<{id_}>" for id_ in ids if len(id_) <= ID_LIMIT and _ID.fullmatch(id_))


def _quoted(line: str) -> str:
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _encoded(line: str) -> str:
    return EncodedHeader(line, "utf-8", maxlinelen=75).encode(linesep="\r\n")


def parameter(name: str, value: str) -> str:
    """Return ``; name=value`` for Content-Type or Content-Disposition (RFC 2045 §5.1, RFC 2231 §4)."""
    if value.isascii():
        return f"; {name}={value}" if _TOKEN.fullmatch(value) else f";\r\n {name}={_quoted(value)}"
    encoded = quote(value.encode("utf-8", "replace"), safe="!#$&+-.^_`|~")
    if len(encoded) <= LINE_LIMIT // 2:
        return f";\r\n {name}*=utf-8''{encoded}"
    pieces = re.findall(r"(?:%..|[^%]){1,60}", encoded)
    charset = ["utf-8''"] + [""] * len(pieces)
    return "".join(
        f";\r\n {name}*{number}*={prefix}{piece}"
        for number, (prefix, piece) in enumerate(zip(charset, pieces, strict=False))
    )


def content_type_field(content_type: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Return the value of Content-Type; an invalid type becomes ``application/octet-stream``."""
    known = content_type if _TYPE.fullmatch(content_type) else "application/octet-stream"
    return known + "".join(
        parameter(name, one_line(value, PARAMETER_LIMIT))
        for name, value in list(parameters)[:PARAMETERS_LIMIT]
        if _TOKEN.fullmatch(name)
    )


def file_name(name: str) -> str:
    """Return *name* on one line, at most NAME_LIMIT characters, with its extension."""
    line = one_line(name, 10 * TEXT_LIMIT)
    stem, dot, extension = line.rpartition(".")
    if len(line) > NAME_LIMIT and dot and len(extension) < EXTENSION_LIMIT:
        return f"{stem[: NAME_LIMIT - EXTENSION_LIMIT]}.{extension}"
    return line[:NAME_LIMIT]


def text(
    content: str, subtype: str = "plain", parameters: Iterable[tuple[str, str]] = (), fields: Fields = ()
) -> Entity:
    """Return a text entity in UTF-8, encoded for seven-bit transport. An HTML page's own charset becomes UTF-8."""
    if subtype == "html":
        content = _META_CHARSET.sub(r"\1utf-8", content, count=1)
    data = _LINE_END.sub("\r\n", content).encode("utf-8", "replace")
    charset = ("charset", "utf-8")
    return _leaf(
        f"text/{subtype}",
        (charset, *((name, value) for name, value in parameters if name in _PARAMETERS - {"charset"})),
        data,
        fields,
        readable=True,
    )


def placement(disposition: str, name: str, content_id: str) -> Fields:
    """Return the fields Content-Disposition (if there is a *disposition* or file *name*) and Content-ID (if given)."""
    fields: list[tuple[str, str]] = []
    if disposition or name:
        name = file_name(name)
        default = "inline" if content_id else "attachment"
        value = disposition if disposition in {"inline", "attachment"} else default
        fields.append(("Content-Disposition", value + (parameter("filename", name) if name else "")))
    if content_id and _ID.fullmatch(content_id) and len(content_id) <= ID_LIMIT:
        fields.append(("Content-ID", f"<{content_id}>"))
    return tuple(fields)


def binary(
    content_type: str,
    payload: bytes,
    parameters: Iterable[tuple[str, str]] = (),
    *,
    disposition: str = "attachment",
    name: str = "",
    content_id: str = "",
) -> Entity:
    """Return an entity that decodes to exactly *payload*."""
    kept = tuple((n, value) for n, value in parameters if n in _PARAMETERS)
    # These types allow no transfer encoding (RFC 2046 §5.1, §5.2.1): if they need one, they become a file.
    unencoded = content_type.startswith("message/") and fits_seven_bits(payload)
    if not unencoded and content_type.startswith(("multipart/", "message/")):
        content_type, kept, name = "application/octet-stream", (), name or "message.eml"
    fields = placement(disposition, name, content_id)
    if unencoded:
        return Entity(fields=(("Content-Type", content_type_field(content_type, kept)), *fields), body=payload)
    return _leaf(content_type, kept, payload, fields, readable=False)


def _leaf(
    content_type: str, parameters: Iterable[tuple[str, str]], data: bytes, fields: Fields, *, readable: bool
) -> Entity:
    if readable and fits_seven_bits(data):
        encoding, body = "7bit", data
    elif readable and 6 * len(data.translate(None, _SEVEN_BIT)) <= len(data):
        encoding, body = "quoted-printable", _quoted_printable(data)
    else:
        encoding, body = "base64", base64.encodebytes(data).replace(b"\n", b"\r\n")
    head = (("Content-Type", content_type_field(content_type, parameters)), ("Content-Transfer-Encoding", encoding))
    return Entity(fields=(*head, *fields), body=body)


_SEVEN_BIT = bytes(range(128))


def _quoted_printable(data: bytes) -> bytes:
    lines = (binascii.b2a_qp(line).replace(b"=\n", b"=\r\n") for line in data.split(b"\r\n"))
    return b"\r\n".join(lines)


def multipart(subtype: str, children: Iterable[Entity], parameters: Iterable[tuple[str, str]] = ()) -> Entity:
    """Return a multipart entity (RFC 2046 §5.1) with *children*."""
    kept = tuple((name, value) for name, value in parameters if name in _PARAMETERS - {"charset"})
    known = subtype if _TOKEN.fullmatch(subtype) else "mixed"
    return Entity(multipart=known, parameters=kept, children=tuple(children))


def fits_seven_bits(data: bytes) -> bool:
    """Return whether *data* needs no transfer encoding: ASCII, lines ended by CRLF, none over LINE_LIMIT."""
    return _OUTSIDE_7BIT_LINE.search(data) is None


def write(fields: Fields, entity: Entity, seed: bytes) -> bytes:
    """Return the message: *fields*, MIME-Version, and *entity*.

    *seed* determines the boundaries, so the same message gives the same bytes. A seed that contains the whole original
    keeps its sender from predicting them.
    """
    key = hashlib.sha256(seed).hexdigest()[:24]
    chunks: list[bytes] = []
    _write_entity((*fields, ("MIME-Version", "1.0")), entity, chunks, (f"=_{key}_{n}" for n in count(1)))
    return b"".join(chunks)


def _write_entity(fields: Fields, entity: Entity, chunks: list[bytes], boundaries: Iterable[str]) -> None:
    if not entity.multipart:
        chunks += (_head((*fields, *entity.fields)), entity.body)
        return
    boundary = next(iter(boundaries))
    content_type = content_type_field(f"multipart/{entity.multipart}", entity.parameters) + parameter(
        "boundary", boundary
    )
    chunks.append(_head((*fields, ("Content-Type", content_type), *entity.fields)))
    for child in entity.children:
        chunks.append(f"--{boundary}\r\n".encode())
        _write_entity((), child, chunks, boundaries)
        chunks.append(b"\r\n")
    chunks.append(f"--{boundary}--\r\n".encode())


def _head(fields: Fields) -> bytes:
    return ("".join(f"{name}: {value}\r\n" for name, value in fields) + "\r\n").encode("ascii", "replace")
