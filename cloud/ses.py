"""SES's sending API: takes what functions send through SES v2, refuses what SES refuses, and keeps the rest as files.

The outbox holds, for the n-th message, ``0001.eml`` (what the recipient gets: Message-ID and Date are SES's),
``0001.json`` (the envelope) and ``handed-in/0001.eml`` (the bytes that SES was given, unchanged).
Every other path is forwarded to the emulator, so this endpoint can stand in for all of AWS.
"""

import base64
import binascii
import itertools
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, getaddresses
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from cloud import REGION
from cloud.http_server import Exchange, HttpServer

SEND_PATH = "/v2/email/outbound-emails"
MAX_MESSAGE = 40 * 1024 * 1024  # bytes, SES v2 SendEmail with raw content
MAX_RECIPIENTS = 50
MAX_LINE = 998  # bytes without CRLF
MAX_HEADER_SECTION = 16 * 1024  # bytes
_MAY_REPEAT = re.compile(rb"x-|received$|resent-|dkim-signature$")
_FIELD = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")

type Fields = list[tuple[bytes, bytes]]
"""Header fields: lower-case name, whole field."""


class Refused(Exception):
    """SES refuses a request: error code, HTTP status and text."""

    def __init__(self, text: str, code: str = "BadRequestException", status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The envelope of one sent message, as its JSON file has it."""

    number: int
    ses_id: str
    message_id: str  # as sent, with angle brackets
    at: str  # ISO 8601, UTC
    sender: str
    recipients: tuple[str, ...]
    configuration_set: str
    subject: str  # as the header has it, undecoded
    size: int  # bytes as handed in
    eml: str  # path of what the recipient gets
    handed_in: str  # path of what SES was given
    tags: dict[str, str] = field(default_factory=dict)  # SES's events repeat them


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one send."""

    code: str = ""  # respond with this SES error
    status: int = 400
    message: str = ""
    seconds: float = 0.0  # respond only after this time
    reset: bool = False  # reset the connection instead of a response
    delivered: bool = False  # for a code or a reset: SES has taken the message all the same
    only: Callable[[dict[str, Any]], bool] = lambda _: True  # which requests (their JSON) it applies to


class SesEndpoint(HttpServer):
    """SES's sending API at a free port; it keeps what is sent in a folder."""

    def __init__(self, outbox: Path, *, domain: str, bind: str = "127.0.0.1") -> None:
        """Keep messages in the folder *outbox*; *domain* (with its subdomains) is the verified identity."""
        self.outbox = outbox
        self.domain = domain.lower()
        self.upstream = ""  # the emulator's endpoint, known once it runs
        self._faults: list[Fault] = []
        self._lock = threading.Lock()  # for the faults
        self._closing = threading.Event()
        (outbox / "handed-in").mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count(max((sent.number for sent in self.sent()), default=0) + 1)
        super().__init__(bind)

    def close(self) -> None:
        """Stop listening, and end the waiting of slow responses."""
        self._closing.set()
        super().close()

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """Apply *fault* to the next *times* sends that *fault.only* accepts."""
        with self._lock:
            self._faults.extend([fault] * times)

    def sent(self) -> list[Sent]:
        """Return what was sent, oldest first."""
        return read_outbox(self.outbox)

    def serve(self, exchange: Exchange) -> None:
        """Take a send, or forward any other request to the emulator."""
        if exchange.command != "POST" or urlsplit(exchange.path).path != SEND_PATH:
            exchange.respond(*exchange.forward(self.upstream))
            return
        request = json.loads(exchange.body)
        fault = self._take_fault(request) or Fault()
        try:
            lost = (fault.code or fault.reset) and not fault.delivered
            ses_id = "" if lost else self.take(request).ses_id
        except Refused as refusal:
            _respond_json(exchange, refusal.status, {"message": str(refusal)}, refusal.code)
            return
        self._closing.wait(fault.seconds)
        if fault.reset:
            exchange.hang_up(reset=True)
        elif fault.code:
            _respond_json(exchange, fault.status, {"message": fault.message or fault.code}, fault.code)
        else:
            _respond_json(exchange, 200, {"MessageId": ses_id})

    def _take_fault(self, request: dict[str, Any]) -> Fault | None:
        with self._lock:
            fault = next((fault for fault in self._faults if fault.only(request)), None)
            if fault:
                self._faults.remove(fault)
            return fault

    def take(self, request: dict[str, Any]) -> Sent:
        """Check and keep one ``SendEmail`` request. Raise Refused if SES would refuse it."""
        try:
            raw = base64.b64decode(request["Content"]["Raw"]["Data"], validate=True)
        except (KeyError, TypeError, binascii.Error) as error:
            raise Refused("Only raw content is taken here: Content.Raw.Data") from error
        destination = request.get("Destination") or {}
        recipients = tuple(
            address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses") or ()
        )
        fields = check_form(raw)
        recipients = recipients or _addresses(fields, b"to", b"cc", b"bcc")
        check_parties(fields, request.get("FromEmailAddress", ""), recipients, self.domain)
        return self._keep(raw, fields, recipients, request)

    def _keep(self, raw: bytes, fields: Fields, recipients: tuple[str, ...], request: dict[str, Any]) -> Sent:
        number = next(self._numbers)
        now = datetime.now(UTC)
        ses_id = f"0100{int(now.timestamp() * 1000):012x}-{uuid4()}-000000"
        host = "email.amazonses.com" if REGION == "us-east-1" else f"{REGION}.amazonses.com"
        eml = self.outbox / f"{number:04}.eml"
        handed_in = self.outbox / "handed-in" / eml.name
        sent = Sent(
            number=number,
            ses_id=ses_id,
            message_id=f"<{ses_id}@{host}>",
            at=now.isoformat(),
            sender=request.get("FromEmailAddress") or _addresses(fields, b"from")[0],
            recipients=recipients,
            configuration_set=request.get("ConfigurationSetName", ""),
            subject=_value(fields, b"subject"),
            size=len(raw),
            eml=str(eml),
            handed_in=str(handed_in),
            tags={tag["Name"]: tag["Value"] for tag in request.get("EmailTags") or ()},
        )
        handed_in.write_bytes(raw)
        eml.write_bytes(as_received(raw, fields, sent.message_id, format_datetime(now)))
        # The envelope appears last and complete: a reader that sees it finds the message.
        envelope = eml.with_suffix(".json")
        draft = envelope.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(sent), indent=2, ensure_ascii=False))
        draft.rename(envelope)
        return sent


def read_outbox(outbox: Path, after: int = 0) -> list[Sent]:
    """Return the envelopes in the folder *outbox*, oldest first; *after* is how many to skip."""
    paths = sorted(outbox.glob("[0-9]*.json"), key=lambda path: int(path.stem))  # 10000 comes after 9999
    envelopes = [json.loads(path.read_text()) for path in paths[after:]]
    return [Sent(**envelope | {"recipients": tuple(envelope["recipients"])}) for envelope in envelopes]


def check_form(raw: bytes) -> Fields:
    """Return the header fields of *raw*. Raise Refused if SES would refuse the message's form.

    SES has a list of about 60 fields that may not appear twice. What we compose needs to repeat only trace and ``X-``
    fields, so all other repetitions are refused here.
    """
    if len(raw) > MAX_MESSAGE:
        raise Refused(f"Message length is more than {MAX_MESSAGE} bytes long: '{len(raw)}'.")
    section = header_section(raw)
    if len(section) > MAX_HEADER_SECTION:
        raise Refused("Header section is too long.")
    if max(map(len, raw.replace(b"\r\n", b"\n").split(b"\n"))) > MAX_LINE:
        raise Refused(f"Line is longer than {MAX_LINE} characters.")
    fields = [(match[1].lower(), match[0]) for match in _FIELD.finditer(section)]
    if sum(len(whole) for _, whole in fields) != len(section):
        raise Refused("Header section has a line that is not a header field.")
    for name, count in Counter(name for name, _ in fields).items():
        if count > 1 and not _MAY_REPEAT.match(name):
            raise Refused(f"Duplicate header '{name.decode().title()}'.")
    return fields


def check_parties(fields: Fields, sender: str, recipients: tuple[str, ...], domain: str) -> None:
    """Raise Refused for a sender outside *domain* or a recipient that SES cannot send to.

    *sender* may be ""; then only From is checked.
    """
    authors = _addresses(fields, b"from")
    if len(authors) != 1:
        raise Refused("Missing or ambiguous header 'From'.")
    if not recipients:
        raise Refused("Missing destination.")
    if len(recipients) > MAX_RECIPIENTS:
        raise Refused(f"Recipient count exceeds {MAX_RECIPIENTS}.")
    identities = [_bare(address) for address in (*authors, sender) if address]
    for address in (*map(_bare, recipients), *identities):
        local, at, _ = address.rpartition("@")
        if not at:
            raise Refused("Missing final '@domain'.")
        if not local.isascii():
            raise Refused("Local address contains a character that is not ASCII.")
    for address in identities:
        if not f".{address.rpartition('@')[2].lower()}".endswith(f".{domain}"):
            text = "Email address is not verified. The following identities failed the check in region"
            raise Refused(f"{text} {REGION.upper()}: {address}", "MessageRejected")


def header_section(raw: bytes) -> bytes:
    """Return *raw* up to its first empty line, without that line but with the line break before it."""
    end = re.search(rb"\r?\n(?=\r?\n)", raw)
    return raw[: end.end()] if end else raw


def as_received(raw: bytes, fields: Fields, message_id: str, date: str) -> bytes:
    """Return *raw* as a recipient gets it: with SES's Message-ID and Date, and without Bcc and X-SES- fields."""
    kept = [
        whole
        for name, whole in fields
        if name not in {b"message-id", b"date", b"bcc", b"return-path"} and not name.startswith(b"x-ses-")
    ]
    ours = f"Message-ID: {message_id}\r\nDate: {date}\r\n".encode()
    return b"".join(kept) + ours + raw[len(header_section(raw)) :]


def _value(fields: Fields, name: bytes) -> str:
    whole = next((whole for found, whole in fields if found == name), b":")
    return re.sub(r"\s+", " ", whole.partition(b":")[2].decode("utf-8", "replace")).strip()


def _bare(address: str) -> str:
    return getaddresses([address])[0][1] or address


def _addresses(fields: Fields, *names: bytes) -> tuple[str, ...]:
    return tuple(address for _, address in getaddresses([_value(fields, name) for name in names]) if address)


def _respond_json(exchange: Exchange, status: int, body: dict[str, str], code: str = "") -> None:
    headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", str(uuid4()))]
    exchange.respond(status, [*headers, *([("x-amzn-ErrorType", code)] if code else [])], json.dumps(body).encode())
