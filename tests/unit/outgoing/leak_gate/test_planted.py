"""The owner's address, planted in every place and encoding of a reply, never reaches the contact."""

import base64
import io
import quopri
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import product

import pytest

from email_handler.mail.parsing import parse
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import PRIVATE, PUBLIC, THREAD, reply_context
from tests.support.revealed import revealed
from tests.support.ses_rules import problems

type Written = Callable[[str], str]
type Planted = Callable[[str], bytes]
type Plants = Callable[[], Iterator[tuple[str, Planted]]]

SPELLINGS: dict[str, Written] = {
    "plain": lambda a: a,
    "upper case": str.upper,
    "tagged": lambda a: a.replace("@", "+desk@"),
    "percent": lambda a: a.replace("@", "%40"),
    "percent all over": lambda a: "".join(f"%{ord(c):02X}" for c in a),
    "=40": lambda a: a.replace("@", "=40"),
    "entity": lambda a: a.replace("@", "&#64;"),
    "entities all over": lambda a: "".join(f"&#x{ord(c):x};" for c in a),
    "encoded word B": lambda a: f"=?utf-8?B?{base64.b64encode(a.encode()).decode()}?=",
    "encoded word Q": lambda a: f"=?iso-8859-1?Q?{a.replace('@', '=40')}?=",
}


def _body(subtype: str, text: str, charset: str, encoding: str, **parameters: str) -> bytes:
    content = text.encode(charset)
    encoded = {
        "7bit": lambda: content,
        "base64": lambda: base64.encodebytes(content).replace(b"\n", b"\r\n"),
        "quoted-printable": lambda: quopri.encodestring(content).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
        "soft breaks": lambda: b"=\r\n".join(content[at : at + 5] for at in range(0, len(content), 5)),
    }[encoding]()
    name = "quoted-printable" if encoding == "soft breaks" else encoding
    further = "".join(f"; {key}={value}" for key, value in parameters.items())
    fields = [("Content-Type", f"text/{subtype}; charset={charset}{further}"), ("Content-Transfer-Encoding", name)]
    return entity(fields, encoded)


def _mail(*parts: bytes, **fields: str) -> bytes:
    head = {"From": f"Me <{PRIVATE}>", "To": THREAD, "Subject": "Re: Hello", "MIME-Version": "1.0"} | {
        name.replace("_", "-"): value for name, value in fields.items()
    }
    hello = _body("plain", "Hello\r\n", "us-ascii", "7bit")
    return entity(head.items()) + (parts[0] if len(parts) == 1 else multipart("mixed", *(parts or (hello,))))


def _file(content_type: str, payload: bytes, name: str = "file.bin", **fields: str) -> bytes:
    head = [
        ("Content-Type", content_type),
        ("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", f'attachment; filename="{name}"'),
        *((key.replace("_", "-"), value) for key, value in fields.items()),
    ]
    return _mail(_body("plain", "Hello\r\n", "us-ascii", "7bit"), entity(head, base64.encodebytes(payload)))


def _zip(member: str, content: str, comment: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo(member)
        entry.comment, entry.compress_type = comment.encode(), zipfile.ZIP_DEFLATED
        archive.writestr(entry, content)
    return packed.getvalue()


def _pdf(drawn: bytes) -> bytes:
    packed = zlib.compress(drawn)
    return b"%%PDF-1.4\n1 0 obj <</Length %d /Filter /FlateDecode>> stream\n%s\nendstream endobj" % (
        len(packed),
        packed,
    )


def _key(address: str) -> bytes:
    key = b"\x99\x01\x0d\x04" * 9 + b"\xb4\x1c" + f"Me <{address}>".encode() + b"\x89\x01" * 20
    armour = base64.encodebytes(key).decode()
    return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{armour}=AbCd\n-----END PGP PUBLIC KEY BLOCK-----\n".encode()


def _der(address: str) -> bytes:
    return b"0\x12\x06\x09*\x86H\x86\xf7\x0d\x01\x09\x01\x16" + bytes([len(address)]) + address.encode() + b"1\x1d0\x1b"


def _rewritten(address: str) -> str:
    local, _, domain = address.partition("@")
    return f"SRS0=Ab12=XY={domain}={local}@forwarder.example"


def _cut(text: str, width: int) -> list[str]:
    return [text[at : at + width] for at in range(0, len(text), width)]


def _folded(line: str) -> str:
    return "\r\n ".join(line[at : at + 9] for at in range(0, len(line), 9))


TEXTS = {
    "a sentence": "Write to {} please.\r\n",
    "a quotation": "Sure.\r\n\r\n> > From: Me <{}>\r\n> > To: you\r\n",
    "a link": "See https://shop.example/?mail={}&x=1\r\n",
    "a signature": "Bye\r\n-- \r\nMe\r\n{}\r\n",
}
PAGES = {
    "text": "<p>Write to {}</p>",
    "mailto": '<a href="mailto:{}?subject=x">me</a>',
    "a link": '<a href="https://shop.example/?mail={}&amp;x=1">x</a>',
    "an attribute": '<img alt="{}" src="cid:x">',
    "a comment": "<!-- from {} --><p>x</p>",
    "style": "<style>/* {} */</style><p>x</p>",
    "conditional": "<!--[if mso]><p>{}</p><![endif]-->",
}
TEXT_ENCODINGS = (
    ("utf-8", "7bit"),
    ("iso-8859-1", "soft breaks"),
    ("utf-16", "base64"),
    ("gb2312", "quoted-printable"),
)
PAGE_ENCODINGS = (("utf-8", "7bit"), ("utf-8", "soft breaks"))
"""One message has a body in each of them."""


def _in_text() -> Iterator[tuple[str, Planted]]:
    for subtype, frames, encodings in (("plain", TEXTS, TEXT_ENCODINGS), ("html", PAGES, PAGE_ENCODINGS)):
        for (place, frame), (spelling, spell) in product(frames.items(), SPELLINGS.items()):
            yield (
                f"{subtype}: {place}, {spelling}",
                lambda a, t=subtype, f=frame, s=spell, encodings=encodings: _mail(  # type: ignore[misc]
                    *(_body(t, f.format(s(a)), charset, encoding) for charset, encoding in encodings)
                ),
            )
    yield (
        "flowed text, broken within",
        lambda a: _mail(
            _body("plain", f"> to {a[:6]} \r\n> {a[6:]} ok\r\n", "utf-8", "7bit", format="flowed", delsp="yes")
        ),
    )
    yield "html: split by tags", lambda a: _mail(_body("html", f"<b>{a[:3]}</b>{a[3:8]}<wbr>{a[8:]}", "utf-8", "7bit"))
    yield "html: zero-width", lambda a: _mail(_body("html", "&#8203;".join(a), "utf-8", "7bit"))


def _elsewhere() -> Iterator[tuple[str, Planted]]:
    yield "subject", lambda a: mail(subject=f"Re: {a}", sender=f"Me <{a}>", text="x\r\n")
    yield "subject, encoded", lambda a: mail(subject=f"Ré: {a}", sender=f"Me <{a}>", text="x\r\n")
    yield "display name", lambda a: mail(sender=f'"{a}" <{a}>', text="x\r\n")
    yield "received", lambda a: mail(sender=f"<{a}>", text="x\r\n", received=f"from x by y for <{a}>; now")
    yield "x-header", lambda a: mail(sender=f"<{a}>", text="x\r\n", x_originating_user=a, x_original_from=a)
    yield "message-id", lambda a: mail(sender=f"<{a}>", text="x\r\n", message_id=f"<123.{a}>")
    yield "preamble", lambda a: _mail(_body("plain", "x", "utf-8", "7bit")).replace(b"x", f"{a}\r\n".encode())
    yield "file name", lambda a: _file("application/pdf", b"x", f"cv of {a}.pdf")
    yield "file name alone", lambda a: _file("image/png", b"x", a)
    yield "type's name", lambda a: _file(f'image/png; name="{a}.png"', b"x")
    yield "description", lambda a: _file("image/png", b"x", Content_Description=a)
    yield "content-id", lambda a: _file("image/png", b"x", Content_ID=f"<{a}>")
    yield "content-id host", lambda a: _file("image/png", b"x", Content_ID=f"<img1@{a.partition('@')[2]}>")
    yield "text file", lambda a: _file("text/plain", f"log of {a}\n".encode(), "log.txt")
    yield "csv file", lambda a: _file("text/csv", f"name,mail\r\nMe,{a}\r\n".encode(), "list.csv")
    yield "utf-16 file", lambda a: _file("text/plain", f"log of {a}\n".encode("utf-16"), "log.txt")
    yield "binary", lambda a: _file("application/octet-stream", b"\0\1\2" + a.encode() + b"\xff")
    yield "utf-16 binary", lambda a: _file("application/msword", b"\1\2\3" + a.encode("utf-16-le") + b"\xff")
    yield "utf-16 binary, big-endian", lambda a: _file("application/msword", b"\1\2" + a.encode("utf-16-be"))
    yield "docx", lambda a: _file("application/zip", _zip("word/document.xml", f"<w:t>{a}</w:t>"), "a.docx")
    yield (
        "docx, in two runs",
        lambda a: _file(
            "application/zip", _zip("word/document.xml", f"<w:t>{a[:4]}</w:t><w:t>{a[4:]}</w:t>"), "a.docx"
        ),
    )
    yield "zip member's name", lambda a: _file("application/zip", _zip(f"{a}/x.txt", "x"), "a.zip")
    yield "zip of text", lambda a: _file("application/zip", _zip("x.txt", a), "a.zip")
    yield "pdf", lambda a: _file("application/pdf", b"%PDF-1.4 /Author (" + a.encode() + b")", "a.pdf")
    yield "pdf, inflated", lambda a: _file("application/pdf", _pdf(b"BT (" + a.encode() + b") Tj ET"), "a.pdf")
    yield (
        "pdf, kerned",
        lambda a: _file("application/pdf", _pdf(f"BT [({a[:3]})-20({a[3:9]})5({a[9:]})] TJ ET".encode()), "a.pdf"),
    )
    yield (
        "pdf, hexadecimal",
        lambda a: _file("application/pdf", _pdf(b"<" + a.encode().hex().encode() + b"> Tj"), "a.pdf"),
    )
    yield "pgp key", lambda a: _file("application/pgp-keys", _key(a), "key.asc")
    yield "pgp key as a file", lambda a: _file("application/octet-stream", _key(a), "key.asc")
    yield "pgp key in the text", lambda a: _mail(_body("plain", "Hi\r\n" + _key(a).decode(), "utf-8", "7bit"))
    yield (
        "pgp signature in the text",
        lambda a: _mail(
            _body(
                "plain",
                "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\n- -- Hi\r\n-----BEGIN PGP SIGNATURE-----\r\n"
                f"Comment: {a}\r\n\r\niQEz\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\n",
                "utf-8",
                "7bit",
            )
        ),
    )
    yield "certificate", lambda a: _file("application/pkcs7-signature", b"0\x82" + a.encode() + b"\0", "smime.p7s")
    yield "certificate as a file", lambda a: _file("application/x-x509-user-cert", _der(a), "me.cer")
    yield "utf-16 strings", lambda a: _file("application/x-db", b"\1" + f"SMTP\0{a}\0X".encode("utf-16-le"))
    yield "report", lambda a: _file("message/delivery-status", f"Final-Recipient: rfc822; {a}\r\n".encode())
    yield "opaque signature", lambda a: _file("application/pkcs7-mime; smime-type=signed-data", b"0\x80" + a.encode())
    yield (
        "vcard",
        lambda a: _file(
            "text/vcard", f"BEGIN:VCARD\r\nFN:Me\r\n{_folded('EMAIL;TYPE=home:' + a)}\r\nEND:VCARD".encode()
        ),
    )
    yield (
        "vcard, quoted-printable",
        lambda a: _file(
            "text/x-vcard", f"BEGIN:VCARD\r\nEMAIL;ENCODING=QUOTED-PRINTABLE:{a.replace('@', '=40')}\r\n".encode()
        ),
    )
    yield (
        "calendar",
        lambda a: _file(
            "text/calendar; method=REPLY",
            f"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\n{_folded('ORGANIZER:mailto:' + THREAD)}\r\n"
            f"{_folded(f'ATTENDEE;CN={a};PARTSTAT=ACCEPTED:mailto:{a}')}\r\nEND:VCALENDAR\r\n".encode(),
            "invite.ics",
        ),
    )
    yield "calendar as a file", lambda a: _file("application/ics", f"ORGANIZER:mailto:{a}\r\n".encode(), "invite.ics")
    nested = {
        "header": lambda a: mail(sender=f"Me <{a}>", to=f"{a}, x@y.example", text="x\r\n", received=f"for {a}"),
        "body": lambda a: mail(text=f"Write to {a}\r\n", html=f"<p>{a}</p>"),
        "file": lambda a: mail(attachments=[("x.bin", "application/octet-stream", b"\0" + a.encode())]),
    }
    for name, inner in nested.items():
        yield (
            f"attached message: {name}",
            lambda a, i=inner: _mail(
                _body("plain", "x", "utf-8", "7bit"), entity([("Content-Type", "message/rfc822")], i(a))
            ),  # type: ignore[misc]
        )


def _disguised() -> Iterator[tuple[str, Planted]]:
    encoded = {
        "base64": base64.encodebytes,
        "quoted-printable": lambda content: content.replace(b"@", b"=\r\n@"),
    }
    for encoding, encode in encoded.items():
        inner = lambda a, c=encoding, e=encode: entity(  # noqa: E731
            [("From", "x@y.example"), ("Content-Type", "text/plain"), ("Content-Transfer-Encoding", c)],
            e(b"Hello " + a.encode()),
        )
        yield f"message as a file, {encoding}", lambda a, i=inner: _file("application/octet-stream", i(a), "a.eml")  # type: ignore[misc]
        yield f"global message, {encoding}", lambda a, i=inner: _file("message/global", i(a), "a.eml")  # type: ignore[misc]
        yield (
            f"zip of messages, {encoding}",
            lambda a, i=inner: _file("application/zip", _zip("a.eml", i(a).decode()), "a.zip"),  # type: ignore[misc]
        )
    yield (
        "mailbox of messages",
        lambda a: _file("application/mbox", f"From x\nSubject: =?utf-8?Q?{a}?=\n\nx\n".encode()),
    )
    for name, kind in (("a.svg", "image/svg+xml"), ("a.xhtml", "application/xhtml+xml"), ("a.html", "application/x-y")):
        yield f"markup as a file: {name}", lambda a, n=name, k=kind: _file(k, f"<a>{a[:4]}<b/>{a[4:]}</a>".encode(), n)  # type: ignore[misc]
    for name in ("a.ics", "a.vcf"):
        yield f"folded file: {name}", lambda a, n=name: _file("application/octet-stream", _folded("X:" + a).encode(), n)  # type: ignore[misc]
    yield "zip member's comment", lambda a: _file("application/zip", _zip("x.txt", "x", comment=a), "a.zip")
    yield (
        "zip behind a program",
        lambda a: _file("application/x-dosexec", b"MZ\0" + _zip("x.txt", f"Hello {a}"), "a.exe"),
    )
    yield (
        "zip of base64",
        lambda a: _file("application/zip", _zip("x.txt", base64.b64encode(a.encode()).decode()), "a.zip"),
    )
    yield (
        "picture's text",
        lambda a: _file("image/png", b"\x89PNG\r\n\x1a\n\0\0\0\x19tEXtAuthor\0" + a.encode() + b"zK1A"),
    )
    yield "full-width", lambda a: _mail(_body("plain", "".join(chr(ord(c) + 0xFEE0) for c in a), "utf-8", "base64"))
    yield "ideographic full stop", lambda a: _mail(_body("plain", a.replace(".", "\u3002"), "utf-8", "base64"))
    for name, mark in {"isolates": "\u2068", "selectors": "\ufe0f", "joiners": "\u034f", "tags": "\U000e0001"}.items():
        yield f"invisible {name}", lambda a, m=mark: _mail(_body("plain", m.join(a), "utf-8", "base64"))  # type: ignore[misc]
    yield "spaces around the sign", lambda a: _mail(_body("plain", a.replace("@", " @ "), "utf-8", "7bit"))
    yield "sender rewriting", lambda a: _mail(_body("plain", _rewritten(a), "utf-8", "7bit"))
    yield (
        "style",
        lambda a: _mail(
            _body("html", f"<style>a:after{{content:'{a.replace('@', chr(92) + '40 ')}'}}", "utf-8", "7bit")
        ),
    )
    yield "html: comment within", lambda a: _mail(_body("html", a.replace("@", "<!-- <b> -->@"), "utf-8", "7bit"))
    yield (
        "quoted base64",
        lambda a: _mail(
            _body(
                "plain",
                "> " + "\r\n> ".join(_cut(base64.b64encode(f"1234567890 {a}".encode()).decode(), 14)),
                "utf-8",
                "7bit",
            )
        ),
    )
    yield (
        "folded base64",
        lambda a: _file("text/vcard", _folded("KEY:" + base64.b64encode(f"key of {a} ".encode()).decode()).encode()),
    )


KINDS = (_in_text, _elsewhere, _disguised)


def test_there_are_enough_plants() -> None:
    names = [name for plants in KINDS for name, _ in plants()]
    bodies = len(SPELLINGS) * (len(TEXTS) * len(TEXT_ENCODINGS) + len(PAGES) * len(PAGE_ENCODINGS))

    assert bodies >= 300
    assert len(names) >= 150
    assert len({*names}) == len(names)


@pytest.mark.parametrize("plants", KINDS)
def test_a_planted_address_is_never_sent(plants: Plants, subtests: pytest.Subtests) -> None:
    """In text it is replaced and the reply is sent; a disguised one is found even if the tests' own oracle misses it."""
    for name, planted in plants():
        with subtests.test(name):
            composed = compose_reply(parse(planted(PRIVATE)), reply_context())

            found = [place.action for place in composed.places if place.what == "private address"]
            if not composed.held:
                seen = revealed(composed.raw)
                assert PRIVATE not in seen
                assert PRIVATE.partition("@")[2] not in seen
                assert "thread.example.com" not in seen
            assert problems(composed.raw) == []
            if plants is _in_text and "word B" not in name:
                assert not composed.held
                assert found == ["replaced"]
            if plants is _disguised:
                assert found


@pytest.mark.parametrize("plants", KINDS)
def test_the_same_message_with_another_address_is_sent(plants: Plants, subtests: pytest.Subtests) -> None:
    for name, planted in plants():
        with subtests.test(name):
            composed = compose_reply(parse(planted("you@public.example")), reply_context())

            assert not composed.held
            assert {place.what for place in composed.places} <= {"signature", "thread address"}
            assert PUBLIC in composed.raw.decode()
