"""What SES does with a message it accepted: verdicts, the header fields it puts on top, and the event for Lambda."""

import re
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import format_datetime, getaddresses
from typing import Any

from cloud import REGION
from cloud.mailclient import decoded
from cloud.ses import header_section
from email_handler.mail.addresses import address_domain

VERDICTS_FIELD = "X-Local-Verdicts"
_EVENT_HEADERS = 10 * 1024  # bytes of headers in an event
_LONGEST_VALUE = 4096  # characters of a field that are parsed as addresses or words
_FIELD = re.compile(rb"(?m)^([!-9;-~]+)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)")
_VERDICTS = re.compile(rb"(?im)^%s:([^\n]*(?:\n[ \t][^\n]*)*)(?:\n|\Z)" % VERDICTS_FIELD.encode())
VERDICT_KINDS = ("spam", "virus", "spf", "dkim", "dmarc")
_RESULTS = {"PASS": "pass", "FAIL": "fail", "GRAY": "none", "PROCESSING_FAILED": "temperror"}  # RFC 8601 §2.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """SES's verdicts on a message. Values are SES's: PASS, FAIL, GRAY, PROCESSING_FAILED, DISABLED."""

    spam: str = "PASS"
    virus: str = "PASS"
    spf: str = "PASS"
    dkim: str = "PASS"
    dmarc: str = "PASS"
    policy: str = ""  # none, quarantine, reject; SES reports it if DMARC fails
    auth: str = ""  # replaces the Authentication-Results that follow from the above, without "amazonses.com;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """One message as SES received it."""

    message_id: str  # SES's
    at: datetime  # aware, UTC
    helo: str
    sender: str  # "" for the null sender
    recipients: tuple[str, ...]  # the envelope's, all rules together
    raw: bytes  # without VERDICTS_FIELD
    verdicts: Verdicts


def timestamp(moment: datetime) -> str:
    """Return *moment*, which is in UTC, as SES writes it: with milliseconds and Z."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_message_id() -> str:
    """Return an id like those SES gives to received messages: 40 lower-case letters and digits."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(40))


def take_verdicts(raw: bytes, sender: str) -> tuple[bytes, Verdicts]:
    """Return *raw* without its ``X-Local-Verdicts`` field, and the verdicts that the field sets.

    ``X-Local-Verdicts: spam=FAIL dmarc=FAIL policy=reject auth=…`` (``auth`` takes the rest of the field). Others are
    PASS, with a signature of From's domain; SPF is GRAY for a null *sender*, DKIM and DMARC are GRAY without From.
    Raise ValueError for an unknown word: a typing error in a test message must not count as PASS.
    """
    section = header_section(raw)
    found = _VERDICTS.search(section)
    words = {"spf": "PASS" if sender else "GRAY"}
    if not _from_domain(raw):
        words |= {"dkim": "GRAY", "dmarc": "GRAY"}
    if found:
        raw = section[: found.start()] + section[found.end() :] + raw[len(section) :]
        stated, _, auth = " ".join(found[1].decode("ascii", "replace").split()).partition("auth=")
        words |= {name: value for name, _, value in (word.partition("=") for word in stated.split())}
        words["auth"] = auth
    if words.get("dmarc") == "FAIL":
        words.setdefault("policy", "none")
    unknown = words.keys() - {field.name for field in fields(Verdicts)}
    if unknown:
        raise ValueError(f"{VERDICTS_FIELD} has unknown words: {', '.join(sorted(unknown))}")
    return raw, Verdicts(**words)


def accept(raw: bytes, sender: str, recipients: Sequence[str], *, helo: str = "mail.example.net") -> Accepted:
    """Return *raw* as SES accepts it now, with a new message id. Raise ValueError as :func:`take_verdicts` does."""
    raw, verdicts = take_verdicts(raw, sender)
    return Accepted(
        message_id=new_message_id(),
        at=datetime.now(UTC),
        helo=helo,
        sender=sender,
        recipients=tuple(recipients),
        raw=raw,
        verdicts=verdicts,
    )


def stored(message: Accepted) -> bytes:
    """Return the object SES writes to S3: its own header fields, then the message as received."""
    v = message.verdicts
    for_whom = f"\r\n for {message.recipients[0]}" if len(message.recipients) == 1 else ""
    spf = f"{_RESULTS.get(v.spf, 'none')} (spfCheck: local cloud) client-ip=127.0.0.1; envelope-from={message.sender}; helo={message.helo};"
    domain = _from_domain(message.raw)
    auth = v.auth or (
        f"spf={spf}\r\n dkim={_RESULTS.get(v.dkim, 'none')} header.i=@{domain};"
        f"\r\n dmarc={_RESULTS.get(v.dmarc, 'none')} header.from={domain};"
    )
    received = f"inbound-smtp.{REGION}.amazonaws.com with SMTP id {message.message_id}{for_whom};\r\n {format_datetime(message.at)} (UTC)"
    top = [
        f"Return-Path: <{message.sender}>",
        f"Received: from {message.helo} ({message.helo} [127.0.0.1])\r\n by {received}",
        f"X-SES-Spam-Verdict: {v.spam}",
        f"X-SES-Virus-Verdict: {v.virus}",
        f"Received-SPF: {spf}",
        f"Authentication-Results: amazonses.com;\r\n {auth}",
        f"X-SES-RECEIPT: {secrets.token_urlsafe(60)}",
        f"X-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b={secrets.token_urlsafe(60)}",
    ]
    return "".join(f"{field}\r\n" for field in top).encode("utf-8", "replace") + message.raw


def event(message: Accepted, obj: bytes, recipients: Sequence[str], function_arn: str) -> dict[str, Any]:
    """Return the event of a rule's Lambda action. *obj* is the stored object, *recipients* those the rule matched.

    Headers end after 10 KB (``headersTruncated``); common headers are only those the message has; destinations come
    from the headers, never from the envelope.
    """
    headers: list[dict[str, str]] = []
    room = _EVENT_HEADERS
    common: dict[str, str] = {}
    for name, value in _fields(header_section(obj)):
        common.setdefault(name.lower(), value[:_LONGEST_VALUE])
        room -= len(name) + len(value.encode())
        if room >= 0:
            headers.append({"name": name, "value": value})
    when = timestamp(message.at)
    v = message.verdicts
    verdicts = {f"{kind}Verdict": {"status": getattr(v, kind)} for kind in VERDICT_KINDS}
    return {
        "Records": [
            {
                "eventSource": "aws:ses",
                "eventVersion": "1.0",
                "ses": {
                    "mail": {
                        "timestamp": when,
                        "source": message.sender,
                        "messageId": message.message_id,
                        "destination": [
                            address for name in ("to", "cc") for _, address in _parties(common.get(name, "")) if address
                        ],
                        "headersTruncated": room < 0,
                        "headers": headers,
                        "commonHeaders": _common(common),
                    },
                    "receipt": {
                        "timestamp": when,
                        "processingTimeMillis": 1,
                        "recipients": list(recipients),
                        **verdicts,
                        **({"dmarcPolicy": v.policy} if v.policy else {}),
                        "action": {"type": "Lambda", "functionArn": function_arn, "invocationType": "Event"},
                    },
                },
            }
        ]
    }


def _common(found: dict[str, str]) -> dict[str, Any]:
    lists = {"from": "from", "to": "to", "cc": "cc", "replyTo": "reply-to"}
    texts = {"sender": "sender", "returnPath": "return-path", "messageId": "message-id", "date": "date"}
    common: dict[str, Any] = {key: _people(found[name]) for key, name in lists.items() if name in found}
    common |= {key: found[name] for key, name in texts.items() if name in found}
    if "returnPath" in common:
        common["returnPath"] = common["returnPath"].strip("<>")
    if "subject" in found:
        common["subject"] = decoded(found["subject"])
    return common


def _people(value: str) -> list[str]:
    return [f"{decoded(name)} <{address}>" if name else address for name, address in _parties(value) if name or address]


def _parties(value: str) -> list[tuple[str, str]]:
    try:
        return getaddresses([value])
    except RecursionError:  # a thousand opening brackets
        return []


def _fields(section: bytes) -> list[tuple[str, str]]:
    return [
        (match[1].decode("ascii"), re.sub(r"\r?\n", "", match[2].decode("utf-8", "replace")).strip())
        for match in _FIELD.finditer(section)
    ]


def _from_domain(raw: bytes) -> str:
    value = next((value for name, value in _fields(header_section(raw)) if name.lower() == "from"), "")
    parties = _parties(value[:_LONGEST_VALUE])
    return address_domain(parties[0][1]) if parties else ""
