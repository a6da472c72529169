"""SES's door out: takes what the functions send through SES v2, refuses what SES refuses, and keeps the rest as files.

The outbox holds, for the n-th mail, ``0001.eml`` (what the recipient gets: Message-ID and Date are SES's),
``0001.json`` (the envelope) and ``handed-in/0001.eml`` (the bytes that were given to SES, untouched).
Every other path is passed on to the emulator, so this endpoint can stand in for all of AWS.
"""

import base64
import binascii
import http.client
import itertools
import json
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, getaddresses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import uuid4

from cloud.clients import REGION

SEND_PATH = "/v2/email/outbound-emails"
MAX_MESSAGE = 40 * 1024 * 1024  # bytes, SES v2 SendEmail with raw content
MAX_RECIPIENTS = 50
MAX_LINE = 998  # octets without CRLF
MAX_HEADER_SECTION = 16 * 1024  # octets
_MAY_REPEAT = re.compile(rb"x-|received$|resent-|dkim-signature$")
_FIELD = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
_NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect", "date", "server"}


class Refused(Exception):
    """SES says no: error code, HTTP status and text."""

    def __init__(self, text: str, code: str = "BadRequestException", status: int = 400) -> None:
        super().__init__(text)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One captured mail's envelope, as its JSON file has it."""

    number: int
    ses_id: str
    message_id: str  # on the wire, with angle brackets
    at: str  # ISO 8601, UTC
    sender: str
    recipients: tuple[str, ...]
    configuration_set: str
    subject: str  # as the header has it, undecoded
    size: int  # bytes as handed in
    eml: str  # path of what the recipient gets
    handed_in: str  # path of what SES was given


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one send."""

    code: str = ""  # answer with this SES error
    status: int = 400
    message: str = ""
    seconds: float = 0.0  # say nothing for so long
    reset: bool = False  # break the connection instead of an answer
    delivered: bool = False  # for a code or a reset: SES has taken the mail all the same
    only: Callable[[dict[str, Any]], bool] = lambda _: True  # looks at the request's JSON


@dataclass(slots=True)
class _Faults:
    waiting: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: dict[str, Any]) -> Fault | None:
        with self.lock:
            for fault in self.waiting:
                if fault.only(request):
                    self.waiting.remove(fault)
                    return fault
        return None


class SesEndpoint:
    """An HTTP server on a port of its own, in threads of this process."""

    def __init__(self, outbox: Path, *, domain: str, bind: str = "127.0.0.1", port: int = 0) -> None:
        """Keep mails in the folder *outbox*; *domain* (with its subdomains) is the verified identity."""
        self.outbox = outbox
        self.domain = domain.lower()
        self.upstream = ""  # the emulator's endpoint, known once it runs
        self._faults = _Faults()
        self._closing = threading.Event()
        (outbox / "handed-in").mkdir(parents=True, exist_ok=True)
        last = max((int(path.stem) for path in outbox.glob("[0-9]*.json")), default=0)
        self._numbers = itertools.count(last + 1)
        endpoint = self

        class Handler(_Handler):
            ses = endpoint

        self._server = ThreadingHTTPServer((bind, port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="ses", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fail_next(self, fault: Fault, times: int = 1) -> None:
        """Let the next *times* sends that *fault.only* accepts go wrong."""
        with self._faults.lock:
            self._faults.waiting.extend([fault] * times)

    def sent(self) -> list[Sent]:
        """Return what was captured, oldest first."""
        return read_outbox(self.outbox)

    def take(self, request: dict[str, Any]) -> Sent:
        """Check and keep one ``SendEmail`` request. Raises Refused."""
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

    def _keep(
        self, raw: bytes, fields: list[tuple[bytes, bytes]], recipients: tuple[str, ...], request: dict[str, Any]
    ) -> Sent:
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
        )
        handed_in.write_bytes(raw)
        eml.write_bytes(as_received(raw, fields, sent.message_id, format_datetime(now)))
        # The envelope comes last and whole: whoever sees it finds the mail.
        envelope = eml.with_suffix(".json")
        draft = envelope.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(sent), indent=2, ensure_ascii=False))
        draft.rename(envelope)
        return sent


def read_outbox(outbox: Path, after: int = 0) -> list[Sent]:
    """Return the envelopes in the folder *outbox*, oldest first, without the first *after*."""
    envelopes = [json.loads(path.read_text()) for path in sorted(outbox.glob("[0-9]*.json"))[after:]]
    return [Sent(**envelope | {"recipients": tuple(envelope["recipients"])}) for envelope in envelopes]


def check_form(raw: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields (lower-case name, whole field) of *raw*. Raises Refused for what SES refuses.

    SES counts about 60 names that may not be there twice; what we compose has no reason to repeat any but trace and
    ``X-`` fields, so all others are refused here.
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
        raise Refused("Header section has a line that is no header field.")
    for name, count in Counter(name for name, _ in fields).items():
        if count > 1 and not _MAY_REPEAT.match(name):
            raise Refused(f"Duplicate header '{name.decode().title()}'.")
    return fields


def check_parties(fields: list[tuple[bytes, bytes]], sender: str, recipients: tuple[str, ...], domain: str) -> None:
    """Refuse senders outside *domain* and recipients that SES cannot write to. *sender* may be "" (then From counts)."""
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
    """Return *raw* up to its first empty line, that line excluded, the last field's line break included."""
    end = re.search(rb"\r?\n(?=\r?\n)", raw)
    return raw[: end.end()] if end else raw


def as_received(raw: bytes, fields: list[tuple[bytes, bytes]], message_id: str, date: str) -> bytes:
    """Return *raw* as a recipient gets it: SES's Message-ID and Date for the sender's, no Bcc and no X-SES- fields."""
    kept = [
        whole
        for name, whole in fields
        if name not in {b"message-id", b"date", b"bcc", b"return-path"} and not name.startswith(b"x-ses-")
    ]
    ours = f"Message-ID: {message_id}\r\nDate: {date}\r\n".encode()
    return b"".join(kept) + ours + raw[len(header_section(raw)) :]


def _value(fields: list[tuple[bytes, bytes]], name: bytes) -> str:
    whole = next((whole for found, whole in fields if found == name), b":")
    return re.sub(r"\s+", " ", whole.partition(b":")[2].decode("utf-8", "replace")).strip()


def _bare(address: str) -> str:
    return getaddresses([address])[0][1] or address


def _addresses(fields: list[tuple[bytes, bytes]], *names: bytes) -> tuple[str, ...]:
    return tuple(address for _, address in getaddresses([_value(fields, name) for name in names]) if address)


class _Handler(BaseHTTPRequestHandler):
    ses: SesEndpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body go out as two writes; the second must not wait 40 ms

    def handle_one_request(self) -> None:
        """Answer one request; a client that went away is no news."""
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Answer every method alike (the base class asks for ``do_GET`` and its like)."""
        if name.startswith("do_"):
            return self._route
        raise AttributeError(name)

    def _route(self) -> None:
        if self.command == "POST" and urlsplit(self.path).path == SEND_PATH:
            self._send_email(json.loads(self._body()))
        else:
            self._pass_on()

    def _send_email(self, request: dict[str, Any]) -> None:
        fault = self.ses._faults.take(request)  # noqa: SLF001  (one class in two halves)
        try:
            lost = fault and (fault.code or fault.reset) and not fault.delivered
            sent = None if lost else self.ses.take(request)
        except Refused as refusal:
            self._answer_json(refusal.status, {"message": str(refusal)}, refusal.code)
            return
        if fault:
            self.ses._closing.wait(fault.seconds)  # noqa: SLF001
            if fault.reset:
                # Linger 0: the client reads a reset, not an orderly end.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                self.connection.close()
                return
            if fault.code:
                self._answer_json(fault.status, {"message": fault.message or fault.code}, fault.code)
                return
        self._answer_json(200, {"MessageId": sent.ses_id if sent else ""})

    def _pass_on(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.ses.upstream).netloc, timeout=120)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _NOT_PASSED_ON}
            connection.request(self.command, self.path, self._body(), headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        length = answer.getheader("content-length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer_json(self, status: int, body: dict[str, str], code: str = "") -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        if code:
            self.send_header("x-amzn-ErrorType", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("x-amzn-RequestId", str(uuid4()))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: what was sent is in the outbox."""
