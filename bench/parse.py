"""Compares the speed of our parser with the standard library's, on the same messages in the same run.

``python bench/parse.py FOLDER…`` reads every file below the folders as one raw message with three readers, each of
which decodes every header, every text and every attachment: ours, ``compat32`` and ``policy.default``. It prints
messages per second and MB per second of each, their ratios and our slowest messages; the same for ``inspect`` and each
kind of ``compose``, parsing included; how the time of each grows with size, from 1 KB to 40 MB of generated messages;
and how it grows with hostile messages: ten times the size must take about ten times the time. Without a folder it
prints only the growth.
"""

import argparse
import contextlib
import io
import resource
import sys
import time
import zipfile
from base64 import encodebytes
from collections.abc import Callable
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from functools import partial
from pathlib import Path

from cli.composition import Given, Kind, compose_one
from cli.inspection import inspect_bytes
from email_handler.conversations.owners import Owners
from email_handler.identifiers import EmailAddress
from email_handler.mail.parsing import parse
from email_handler.spam.rules import builtin_rules

ADDRESS_FIELDS = ("from", "sender", "reply-to", "to", "cc")
SLOWEST = 8
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 40_000_000)
HOSTILE_SIZES = (10_000, 100_000, 1_000_000)
HOSTILE = (
    *(b"--b\n", b"--c\nContent-a:b\n", b"a:b\n", b"\r", b"=", b"From: (\n", b"begin 644 x\n"),  # structure
    *(b"> ", b"On ", b"On 1 1 a@b:\n", b"From: a\n", b"Regards,\n", b"550 ", b"a@", b"@"),  # texts
    *(b"<a href='", b"<b><p>", b"<blockquote>x", b"<!--", b"&#1"),  # HTML
)
HEAD = b"From: Jane Doe <jane@customer.example>\r\nMIME-Version: 1.0\r\n"
_MIXED = b"Content-Type: multipart/mixed; boundary=b\r\n"
_NESTED = b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n"
_MESSAGE = b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
_HTML = b"Content-Type: text/html\r\n\r\n"
_ARCHIVE = b"\r\n--b\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
LINE = b"The quick brown fox jumps over the lazy dog, and nobody minds at all.\r\n"


def ours(raw: bytes) -> int:
    """Read everything with our parser; return the number of characters and bytes found."""
    message = parse(raw)
    return len(message.text) + sum(len(attachment.payload) for attachment in message.attachments)


def compat32(raw: bytes) -> int:
    """Read the same with the plain standard library; what raises is skipped."""
    message: Message = BytesParser(policy=policy.compat32).parsebytes(raw)
    found = 0
    for part in message.walk():
        for value in part.values():
            with contextlib.suppress(Exception):
                str(make_header(decode_header(value)))
        found += _leaf(part)
    for field in ADDRESS_FIELDS:
        with contextlib.suppress(Exception):
            getaddresses([str(value) for value in message.get_all(field, [])])
    with contextlib.suppress(Exception):
        parsedate_to_datetime(str(message["date"]))
    return found


def _leaf(part: Message) -> int:
    if part.is_multipart():
        return 0
    with contextlib.suppress(Exception):
        part.get_filename()
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return 0
    if part.get_content_maintype() == "text":
        try:
            return len(payload.decode(str(part.get_content_charset("utf-8")), "replace"))
        except LookupError:
            return len(payload.decode("latin-1"))
    return len(payload)


def policy_default(raw: bytes) -> int:
    """Read the same with ``email.policy.default``; what raises is skipped."""
    found = 0
    try:
        message: EmailMessage = BytesParser(policy=policy.default).parsebytes(raw)
        parts = list(message.walk())
    except Exception:  # noqa: BLE001 - it raises nine kinds of exceptions on real messages
        return 0
    for part in parts:
        for name in part.keys():  # noqa: SIM118 - names repeat, unlike in a dictionary
            with contextlib.suppress(Exception):
                str(part[name])
        if not part.is_multipart():
            with contextlib.suppress(Exception):
                part.get_filename()
            with contextlib.suppress(Exception):
                found += len(part.get_content())
    return found


OWNERS = Owners(
    public_addresses=(EmailAddress("contact@example.com"),),
    thread_domain="thread.example.com",
    forward_to=(EmailAddress("owner@private.example"),),
)


def inspect(raw: bytes) -> int:
    """Do the same as ``email-handler inspect`` with one message."""
    return len(inspect_bytes(raw, builtin_rules()))


def composing(kind: Kind) -> Callable[[bytes], int]:
    """Return a function that does the same as ``email-handler compose`` with one message."""
    contact = EmailAddress("jane@customer.example")
    return lambda raw: len(compose_one(kind, Given(raw=raw, owners=OWNERS, contact=contact))[0].raw)


WORK: dict[str, Callable[[bytes], int]] = {"inspect": inspect, **{f"compose {kind}": composing(kind) for kind in Kind}}
READERS: tuple[Callable[[bytes], int], ...] = (ours, compat32, policy_default)


def timed(reader: Callable[[bytes], int], raw: bytes) -> float:
    """Return the shorter of two runs, in seconds; a run over a second is not repeated."""
    best = float("inf")
    for _ in range(2):
        start = time.perf_counter()
        reader(raw)
        best = min(best, time.perf_counter() - start)
        if best > 1:
            break
    return best


def corpus(folders: list[Path]) -> None:
    """Print the comparison over all files below *folders*."""
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    total = dict.fromkeys(READERS, 0.0)
    total_bytes = 0
    slow: list[tuple[float, int, Path]] = []
    messages = [(file, file.read_bytes()) for file in files]
    for file, raw in messages:
        total_bytes += len(raw)
        for reader in READERS:
            total[reader] += timed(reader, raw)
        slow.append((timed(ours, raw), len(raw), file))
    print(f"{len(files)} messages, {total_bytes / 1e6:.1f} MB")
    for reader in READERS:
        seconds = total[reader]
        print(
            f"  {reader.__name__:15} {len(files) / seconds:8.0f} messages/s {total_bytes / 1e6 / seconds:8.1f} MB/s"
            f"   ours is {seconds / total[ours]:.2f} times as fast"
        )
    slowest("ours", slow)
    for name, work in WORK.items():
        slow = [(timed(work, raw), len(raw), file) for file, raw in messages]
        print(f"{name}: {len(files) / sum(seconds for seconds, _, _ in slow):.0f} messages/s")
        slowest(name, slow)


def slowest(name: str, slow: list[tuple[float, int, Path]]) -> None:
    """Print the median, the 99th percentile, and the slowest of *slow* (seconds, bytes, file)."""
    times = sorted(seconds for seconds, _, _ in slow)
    print(
        f"  {name}: median {times[len(times) // 2] * 1e3:.2f} ms, 99 % under {times[len(times) * 99 // 100] * 1e3:.2f} ms"
    )
    for seconds, size, file in sorted(slow, reverse=True)[:SLOWEST]:
        print(f"  {seconds * 1e3:8.1f} ms {size:10} bytes  {file}")


def generated(size: int, kind: str) -> bytes:
    """Return a message of about *size* bytes: one text, or a text and a base64 attachment."""
    head = b"From: Jane Doe <jane@customer.example>\r\nSubject: Size\r\nMIME-Version: 1.0\r\n"
    if kind == "text":
        return head + b"\r\n" + LINE * (size // len(LINE))
    line = b"QUJD" * 19 + b"\r\n"
    return (
        head
        + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n'
        + b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + line * (size // len(line))
        + b"--b--\r\n"
    )


def hostile(size: int, unit: bytes) -> bytes:
    """Return a message of about *size* bytes whose text and HTML repeat *unit*."""
    filling = unit * (size // len(unit) // 2)
    head = generated(0, "text") + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n"
    return head.replace(b"\r\n\r\n", b"\r\n", 1) + filling + b"\r\n--b\r\nContent-Type: text/html\r\n\r\n" + filling


def _archive(members: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(members):
            archive.writestr(f"{number}.txt", b"")
    return packed.getvalue()


STRUCTURES: dict[str, Callable[[int], bytes]] = {
    "header fields": lambda size: HEAD + b"X-A: b\r\n" * (size // 8) + b"\r\nHi",
    "recipients": lambda size: HEAD + b"To: " + b"a@b.example,\r\n " * (size // 15) + b"c@d.example\r\n\r\nHi",
    "References": lambda size: HEAD + b"References: " + b"<a@b.example>\r\n " * (size // 16) + b"\r\n\r\nHi",
    "encoded words": lambda size: HEAD + b"Subject: " + b"=?utf-8?b?w6k=?= " * (size // 17) + b"\r\n\r\nHi",
    "RFC 2231": lambda size: HEAD + b"Content-Type: text/plain" + b";\r\n name*1=a" * (size // 13) + b"\r\n\r\nHi",
    "parts": lambda size: HEAD + _MIXED + b"\r\n--b\r\n\r\nx" * (size // 10),
    "nested parts": lambda size: HEAD + b"".join(_NESTED % (n, n) for n in range(size // 60)),
    "nested messages": lambda size: HEAD + _MIXED + (_MESSAGE + b"X: y\r\n" * 1000) * (size // 6000),
    "delimiters": lambda size: HEAD + b"".join(_NESTED % (n, n) for n in range(30)) + b"\r\n--" * (size // 4),
    "deep HTML": lambda size: HEAD + _HTML + b"<div>" * 1000 + b"</x>" * (size // 4),
    "members": lambda size: HEAD + _MIXED + _ARCHIVE + encodebytes(_archive(size // 200)),
}
"""Builders of hostile messages of about a size, which text and HTML alone cannot make."""


def hostile_growth() -> None:
    """Print the time of each kind of work on hostile messages of each size, and the growth of the last tenfold."""
    sizes = ", ".join(f"{size / 1e3:.0f}" for size in HOSTILE_SIZES)
    print(f"hostile messages, ms for {sizes} KB, and the ratio of the last to the one before")
    builders: dict[str, Callable[[int], bytes]] = {repr(u.decode()): partial(hostile, unit=u) for u in HOSTILE}
    for kind, build in (builders | STRUCTURES).items():
        for name, work in {"parse": ours, **WORK}.items():
            times = [timed(work, build(size)) for size in HOSTILE_SIZES]
            line = " ".join(f"{seconds * 1e3:8.1f}" for seconds in times)
            print(f"  {kind:22} {name:23} {line}   {times[-1] / times[-2]:5.1f} times")


def growth() -> None:
    """Print how the time of each reader grows with size, as a ratio to ours."""
    print("growth with size")
    for kind in ("text", "attachment"):
        for size in SIZES:
            raw = generated(size, kind)
            mine = timed(ours, raw)
            beside = [timed(reader, raw) / mine for reader in READERS[1:]]
            print(
                f"  {kind:10} {size / 1e3:8.0f} KB {mine * 1e3:9.2f} ms {mine / size * 1e9:7.2f} ns/byte"
                f"   compat32 takes {beside[0]:.2f} times, policy.default {beside[1]:.2f} times that"
            )
    for name, work in WORK.items():
        times = [timed(work, generated(size, "attachment")) for size in SIZES]
        print(f"  {name}, ms from {SIZES[0] / 1e3:.0f} KB up: " + ", ".join(f"{t * 1e3:.1f}" for t in times))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  peak memory of this process, all readers: {peak:.0f} MB")


def main() -> None:
    """Read the command line, measure and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("folders", nargs="*", type=Path)
    options = arguments.parse_args()
    missing = [str(folder) for folder in options.folders if not folder.is_dir()]
    if missing:
        sys.exit(f"no such folder: {', '.join(missing)}")
    if options.folders:
        corpus(options.folders)
    growth()
    hostile_growth()


if __name__ == "__main__":
    main()
