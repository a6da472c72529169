"""Machines that respond to messages: each kind is a function from the message it received to its response."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from email import message_from_bytes

from cloud.mailclient import with_fields
from tests.support.builders import entity, mail, multipart


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that a machine received."""

    raw: bytes  # as delivered, with the Message-ID it has on the wire
    by: str  # the address of the mailbox
    number: int  # different for each message

    @property
    def subject(self) -> str:
        return str(message_from_bytes(self.raw)["Subject"] or "")

    @property
    def message_id(self) -> str:
        return str(message_from_bytes(self.raw)["Message-ID"]).strip("<>")

    @property
    def host(self) -> str:
        return self.by.rpartition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The response, to the address that the message came from."""

    raw: bytes
    envelope_sender: str


type Machine = Callable[[Received], Response]


def _respond(
    received: Received, *, subject: str, envelope_sender: str = "", sender: str = "", **fields: str
) -> Response:
    raw = mail(
        sender=sender or received.by,
        subject=subject,
        message_id=f"<auto{received.number}@{received.host}>",
        text=f"This is answer number {received.number}. We will read your mail soon.\r\n",
        **{"in_reply_to": f"<{received.message_id}>", "references": f"<{received.message_id}>", **fields},  # type: ignore[arg-type]
    )
    return Response(raw=raw, envelope_sender=envelope_sender)


def vacation_of_gmail(received: Received) -> Response:
    return _respond(
        received,
        subject=f"Out of Office Re: {received.subject}",
        envelope_sender=received.by,
        precedence="bulk",
        x_autoreply="yes",
        auto_submitted="auto-replied",
    )


def vacation_of_exchange(received: Received) -> Response:
    return _respond(
        received,
        subject=f"Automatic reply: {received.subject}",
        auto_submitted="auto-generated",
        x_auto_response_suppress="All",
        x_ms_exchange_generated_message_source="Mailbox Rules Agent",
    )


def vacation_of_sieve(received: Received) -> Response:
    """Respond by RFC 5230, as Dovecot does."""
    return _respond(received, subject=f"Auto: {received.subject}", auto_submitted="auto-replied (vacation)")


def vacation_by_subject_alone(received: Received) -> Response:
    """Respond as an old German client does, with no header field that marks it as automatic."""
    return _respond(received, subject=f"Abwesenheitsnotiz: {received.subject}", envelope_sender=received.by)


def mailer_daemon(received: Received) -> Response:
    """Respond with a daemon's text that is not a delivery report and has no message ids."""
    return _respond(received, subject="Warning: could not send message", sender=f"MAILER-DAEMON@{received.host}")


def list_auto_response(received: Received) -> Response:
    return _respond(
        received,
        subject="Your message to announce awaits moderator approval",
        envelope_sender=f"announce-bounces@{received.host}",
        sender=f"announce-owner@{received.host}",
        precedence="bulk",
        list_id=f"<announce.{received.host}>",
        x_beenthere=received.by,
    )


def desk(received: Received) -> Response:
    """Acknowledge as a help desk does, recognisable only by a number in the subject."""
    return _respond(received, subject=f"[#{1000 + received.number}] {received.subject}", envelope_sender=received.by)


def desk_with_new_addresses(received: Received) -> Response:
    """Respond as a help desk with a new address for each case."""
    sender = f"case-{received.number}@{received.host}"
    return _respond(
        received, subject=f"[#{1000 + received.number}] {received.subject}", envelope_sender=sender, sender=sender
    )


def desk_with_new_tags(received: Received) -> Response:
    """Respond as a help desk with a tag for each case and its own subjects, without any id."""
    sender = f"desk+{received.number}@{received.host}"
    return _respond(
        received,
        subject=f"Case {received.number} was opened",
        envelope_sender=sender,
        sender=sender,
        in_reply_to="",
        references="",
    )


def desk_without_ids(received: Received) -> Response:
    """Acknowledge as a help desk with its own subjects, without any id."""
    return _respond(
        received,
        subject=f"Case {received.number} was opened",
        envelope_sender=received.by,
        in_reply_to="",
        references="",
    )


def challenge(received: Received) -> Response:
    """Ask for a confirmation by a person, as challenge-response filters do."""
    return _respond(
        received,
        subject="Please confirm that you are a person",
        envelope_sender=received.by,
        reply_to=f"confirm+{received.number}@{received.host}",
    )


def _report(received: Received, kind: str, subject: str, note: str, status: bytes) -> Response:
    returned = entity([("Message-ID", f"<{received.message_id}>"), ("Subject", received.subject)], b"")
    raw = multipart(
        f"report; report-type={kind}",
        entity([("Content-Type", "text/plain")], note.encode()),
        status,
        entity([("Content-Type", "text/rfc822-headers")], returned),
        headers=[
            (
                "From",
                f"Mail Delivery System <MAILER-DAEMON@{received.host}>" if kind == "delivery-status" else received.by,
            ),
            ("To", "contact@example.com"),
            ("Subject", subject),
            ("Message-ID", f"<report{received.number}@{received.host}>"),
            ("MIME-Version", "1.0"),
        ],
    )
    return Response(raw=raw, envelope_sender="")


def bounce(received: Received) -> Response:
    """Report by RFC 3464 that the message was not delivered."""
    fields = f"Reporting-MTA: dns; mx.{received.host}\r\n\r\nFinal-Recipient: rfc822; {received.by}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    status = entity([("Content-Type", "message/delivery-status")], fields.encode())
    return _report(
        received, "delivery-status", "Undelivered Mail Returned to Sender", "It could not be delivered.", status
    )


def receipt(received: Received) -> Response:
    """Report by RFC 8098 that the message was displayed."""
    fields = f"Final-Recipient: rfc822; {received.by}\r\nOriginal-Message-ID: <{received.message_id}>\r\nDisposition: automatic-action/MDN-sent-automatically; displayed\r\n"
    status = entity([("Content-Type", "message/disposition-notification")], fields.encode())
    return _report(received, "disposition-notification", f"Read: {received.subject}", "It was displayed.", status)


def redirect(received: Received) -> Response:
    """Send the message on, unchanged."""
    return Response(raw=received.raw, envelope_sender=received.by)


def redirect_with_new_ids(received: Received) -> Response:
    """Send the message on under a new id, as some gateways do."""
    return Response(
        raw=with_fields(
            received.raw, Message_ID=f"<again{received.number}@{received.host}>", Date="Tue, 03 Mar 2026 09:00:00 +0000"
        ),
        envelope_sender=received.by,
    )


def receipt_by_hand(received: Received) -> Response:
    """Report by RFC 8098 that a person displayed the message and let the report be sent."""
    automatic = receipt(received)
    raw = automatic.raw.replace(b"automatic-action/MDN-sent-automatically", b"manual-action/MDN-sent-manually")
    return Response(raw=raw, envelope_sender=received.by)


MACHINES: dict[str, Machine] = {
    machine.__name__: machine
    for machine in (
        vacation_of_gmail,
        vacation_of_exchange,
        vacation_of_sieve,
        vacation_by_subject_alone,
        mailer_daemon,
        list_auto_response,
        desk,
        desk_with_new_addresses,
        desk_with_new_tags,
        desk_without_ids,
        challenge,
        bounce,
        receipt,
        receipt_by_hand,
        redirect,
        redirect_with_new_ids,
    )
}

SIGNS: dict[str, dict[str, str]] = {
    "auto-submitted": {"Auto_Submitted": "auto-generated"},
    "report": {"Content_Type": "message/disposition-notification"},
    "null envelope sender": {},
    "mailer-daemon": {"Sender": "MAILER-DAEMON@private.example"},
    "precedence": {"Precedence": "bulk"},
    "autoresponder field": {"X_Autoreply": "yes"},
    "autoreply subject": {"Subject": "On leave"},
    "autoresponder address": {"Sender": "autoreply@private.example"},
}
"""The fields that make each sign of a machine; the null envelope sender is none."""


def marked(raw: bytes, signs: Collection[str], by: str) -> Response:
    """Return *raw* with each of *signs*, sent *by* an address."""
    fields: dict[str, str] = {}
    for sign in signs:
        for name, value in SIGNS[sign].items():
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return Response(raw=with_fields(raw, **fields), envelope_sender="" if "null envelope sender" in signs else by)
