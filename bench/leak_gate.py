"""Throughput of the leak gate: ``python -m bench.leak_gate FOLDER...`` checks each file as a message or an attachment.

Prints megabytes a second of processor time, the slowest files, errors, and how many files are held or unchecked.
"""

import argparse
import time
from collections import Counter
from pathlib import Path

from email_handler.conversations.owners import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail import writer
from email_handler.outgoing.leak_gate import gate
from email_handler.outgoing.leak_gate.needles import Needles

IDENTITY = Identity(
    public_address=EmailAddress("contact@example.com"),
    display_name="Example Desk",
    domain="example.com",
    thread_domain="thread.example.com",
    private_addresses=(EmailAddress("me@private.example"), EmailAddress("alias+desk@gmail.com")),
    hidden_terms=("Rumpelstiltskin", "blue door lane"),
)
FIELDS = (("From", "contact@example.com"), ("To", "jane@customer.example"), ("Subject", "x"))


def _message(content: bytes, name: str) -> bytes:
    """Return *content* as it is if it is a message, else attached to one."""
    if content[:4096].lower().find(b"\nfrom:") >= 0 or content[:5].lower() in {b"from:", b"from ", b"retur", b"recei"}:
        return content
    part = writer.binary("application/octet-stream", content, (), disposition="attachment", name=name)
    return writer.write(FIELDS, writer.multipart("mixed", (writer.text("x"), part)), b"seed")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--reasons", action="store_true", help="list each unchecked part")
    arguments = parser.parse_args()
    needles, timed = Needles(IDENTITY), []
    counted: Counter[str] = Counter()
    for path in sorted(path for folder in arguments.folders for path in folder.rglob("*") if path.is_file()):
        raw = _message(path.read_bytes(), path.name)
        start = time.process_time()
        try:
            places, unchecked = gate.check(raw, needles)
        except Exception as error:  # noqa: BLE001 - counted and shown: none is expected
            counted["errors"] += 1
            print(f"{path}: {error!r}")
            continue
        timed.append((time.process_time() - start, len(raw), path))
        counted["held"] += bool(places)
        counted["unchecked"] += bool(unchecked)
        if places:
            print(f"held {path}: {places[0]}")
        for part in unchecked if arguments.reasons else ():
            print(f"unchecked {path}: {part.reason}")
    seconds, size = sum(t for t, _, _ in timed), sum(s for _, s, _ in timed)
    print(
        f"{len(timed)} files, {size / 1e6:.1f} MB in {seconds:.1f} s: {size / 1e6 / seconds:.2f} MB/s, {dict(counted)}"
    )
    for taken, length, path in sorted(timed, reverse=True)[:6]:
        print(f"{taken:7.3f} s {length / 1e6:7.2f} MB  {path}")


if __name__ == "__main__":
    main()
