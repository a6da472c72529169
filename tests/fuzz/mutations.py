"""Small changes to messages, from one random generator: the same seed gives the same cases."""

import re
from collections.abc import Callable, Sequence
from random import Random

LARGEST = 100_000  # bytes of a case: what is longer says no more, and takes longer

TOKENS: tuple[bytes, ...] = (
    b"&#" + b"9" * 5000 + b";",
    b"&#x" + b"f" * 5000,
    b"&#0000000064;",
    b"&",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xc3",
    b"=?utf-8?b?/?=",
    b"=?rot13?q?=ZZ?=",
    b"=?unknown-8bit?q?=FF?=",
    b"=?utf-16?b?2AA=?=",
    b"=?utf-7?q?+2AA-?=",
    b"=?idna?q?xn--?=",
    b"<",
    b">",
    b"<!--",
    b"-->",
    b"<style>",
    b"</body>",
    b'<a href="http://[::1">',
    b"<a href='//[x]:99999999/'>",
    b"[Only you see this:",
    "verified \u00b7 first message]".encode(),
    b"(" * 3000,
    b'"' * 501,
    b"\\",
    b"@",
    b",",
    b";",
    b":",
    b"%",
    b"%ZZ",
    b"9" * 5000,
    b"-1",
    b"\xd9\xa3" * 50,
    b"begin 644 x\r\n",
    b"M\r\n`\r\nend\r\n",
    b"=",
    b"=\r\n",
    b"A" * 5001,
    b"owner@private.example",
    b"cid:",
    b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n",
    b'ATTENDEE;CN="a:mailto:\r\n',
    b"%PDF-1.4\nstream\n",
    b"PK\x03\x04",
    b"PK\x05\x06" + b"\xff" * 18,
    b"-----BEGIN PGP SIGNED MESSAGE-----\r\n",
    b"> On Mon, 2 Mar 2026, x wrote:\r\n",
    b"-- \r\n",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa9" * 300,
    b"<div>" * 300 + b"</x>" * 300,
    b"=?utf-8?b?w6k=?= " * 300,
    b"--b" + b" " * 2000,
    b"X-Filler: y\r\n" * 1100,
)

FIELDS: tuple[bytes, ...] = (
    b"Content-Type: multipart/mixed; boundary=",
    b"Content-Type: multipart/signed; boundary=x",
    b"Content-Type: message/rfc822",
    b"Content-Type: message/delivery-status",
    b"Content-Type: multipart/report; report-type=delivery-status; boundary=x",
    b"Content-Type: text/html; charset=zip",
    b"Content-Type: text/plain; format=flowed; delsp=yes; charset=utf-7",
    b"Content-Type: text/calendar; method=REQUEST; charset=undefined",
    b"Content-Type: text/plain; name*99999999999999999=x; name*0*=idna''%ff",
    b"Content-Type: text/plain" + b"".join(b";\r\n name*%d=a" % number for number in range(1000)),
    b'Content-Type: multipart/mixed; boundary="-"',
    b"Content-Type: /",
    b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable",
    b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Disposition: attachment; filename*=hex''%00%2f",
    b"Content-ID: <>",
    b"Date: Mon, 99 Foo 99999999 99:99:99 +9999",
    b"Date: Fri, 31 Dec 9999 23:59:59 -2359",
    b"Date: Sat, 01 Jan 0000 00:00:00 XXX",
    b"From: ",
    b'From: a@b@c, <>, (x, "y',
    b'From: "a@b.example, verified, first message' + b" x" * 200 + b'"@evil.example',
    b"From: =?utf-8?q?a=40b=2C?= <x@[IPv6:::1]>",
    b"From: x@xn--.xn--zzzz.example",
    b"From: Jane Doe via LinkedIn <messages-noreply@linkedin.com>",
    b"From: MAILER-DAEMON",
    b"Reply-To: " + b"a@b.example, " * 600,
    b"To: undisclosed:;",
    b"To: " + b"a@b.example,\r\n " * 2000,
    b"Subject: " + b"Re: " * 400,
    b"Message-ID: <\xff@>",
    b"In-Reply-To: <" + b"x" * 2000 + b">",
    b"References: " + b"<a@b.example> " * 300,
    b"Auto-Submitted: ",
    b"Precedence: bulk",
    b"Received: ",
    b"Authentication-Results: amazonses.com; dkim=pass (",
    b"Return-Path: <",
    b"X-SES-Spam-Verdict: \xff",
)

_FIELD = re.compile(rb"(?m)^[A-Za-z-]{2,40}:[^\r\n]*")
_NUMBER = re.compile(rb"[0-9]+")

type Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]


def mutated(raw: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    """Return *raw* with one to five changes; *seeds* are other messages to take pieces from."""
    for _ in range(random.choice((1, 1, 2, 3, 5))):
        raw = random.choice(_MUTATIONS)(raw, random, seeds)[:LARGEST]
    return raw


def _range(raw: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(raw))
    return start, min(start + random.choice((1, 2, 10, 100, 2000)), len(raw))


def _insert_token(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    at = random.randint(0, len(raw))
    return raw[:at] + random.choice(TOKENS) * random.choice((1, 1, 1, 20)) + raw[at:]


def _insert_in_field(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    found = list(_FIELD.finditer(raw[:20_000]))
    if not found:
        return raw
    field = random.choice(found)
    at = random.randint(field.start(), field.end())
    return raw[:at] + random.choice(TOKENS) + raw[at:]


def _replace_field(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    found = list(_FIELD.finditer(raw[:20_000]))
    field = random.choice(FIELDS) + (random.choice(TOKENS) if random.random() < 0.2 else b"")
    if not found or random.random() < 0.3:
        return field + b"\r\n" + raw
    old = random.choice(found)
    return raw[: old.start()] + field + raw[old.end() :]


def _replace_number(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    found = list(_NUMBER.finditer(raw[:50_000]))
    if not found:
        return raw
    old = random.choice(found)
    new = random.choice((b"0", b"-1", b"00", b"2147483648", b"9" * 4301, b"1e999", b"\xd9\xa3"))
    return raw[: old.start()] + new + raw[old.end() :]


def _flip(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(raw)
    for _number in range(random.choice((1, 5, 50))):
        if changed:
            changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed)


def _delete(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _range(raw, random)
    return raw[:start] + raw[end:]


def _repeat(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = _range(raw, random)
    return raw[:start] + raw[start:end] * random.choice((2, 3, 50)) + raw[end:]


def _splice(raw: bytes, random: Random, seeds: Sequence[bytes]) -> bytes:
    other = random.choice(seeds)
    start, end = _range(other, random)
    at = random.randint(0, len(raw))
    return raw[:at] + (other if random.random() < 0.1 else other[start:end]) + raw[at:]


def _cut(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return raw[: random.randint(0, len(raw))]


def _line_ends(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return raw.replace(b"\r\n", random.choice((b"\n", b"\r", b"\r\r\n", b"\n\r")))


_MUTATIONS: tuple[Mutation, ...] = (
    _insert_token, _insert_token, _insert_in_field, _insert_in_field, _replace_field, _replace_field, _replace_number,
    _flip, _delete, _repeat, _splice, _cut, _line_ends,
)  # fmt: skip
