"""What answers mail without a person: each kind as a function from the mail it got to the mail it writes."""

from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes

from cloud.mailclient import with_fields
from tests.support.builders import entity, mail, multipart


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """A mail that a machine got."""

    raw: bytes  # as delivered, with the Message-ID it has on the wire
    by: str  # whose mailbox the machine keeps
    number: int  # differs for each

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
class Written:
    """What it writes to the address that the mail came from."""

    raw: bytes
    envelope_sender: str


type Machine = Callable[[Got], Written]


def _answer(got: Got, *, subject: str, envelope_sender: str = "", sender: str = "", **fields: str) -> Written:
    raw = mail(
        sender=sender or got.by,
        subject=subject,
        message_id=f"<auto{got.number}@{got.host}>",
        text=f"This is answer number {got.number}. We will read your mail soon.\r\n",
        **{"in_reply_to": f"<{got.message_id}>", "references": f"<{got.message_id}>", **fields},  # type: ignore[arg-type]
    )
    return Written(raw=raw, envelope_sender=envelope_sender)


def vacation_of_gmail(got: Got) -> Written:
    return _answer(
        got, subject=f"Out of Office Re: {got.subject}", envelope_sender=got.by, precedence="bulk", x_autoreply="yes",
        auto_submitted="auto-replied",
    )  # fmt: skip


def vacation_of_exchange(got: Got) -> Written:
    return _answer(
        got, subject=f"Automatic reply: {got.subject}", auto_submitted="auto-generated",
        x_auto_response_suppress="All", x_ms_exchange_generated_message_source="Mailbox Rules Agent",
    )  # fmt: skip


def vacation_of_sieve(got: Got) -> Written:
    """Answer by RFC 5230, as Dovecot does."""
    return _answer(got, subject=f"Auto: {got.subject}", auto_submitted="auto-replied (vacation)")


def vacation_by_subject_alone(got: Got) -> Written:
    """Answer as an old German client does: no field says it."""
    return _answer(got, subject=f"Abwesenheitsnotiz: {got.subject}", envelope_sender=got.by)


def mailer_daemon(got: Got) -> Written:
    """Write a daemon's text that is no report and names nothing."""
    return _answer(got, subject="Warning: could not send message", sender=f"MAILER-DAEMON@{got.host}")


def list_auto_answer(got: Got) -> Written:
    return _answer(
        got, subject="Your message to announce awaits moderator approval", envelope_sender=f"announce-bounces@{got.host}",
        sender=f"announce-owner@{got.host}", precedence="bulk", list_id=f"<announce.{got.host}>", x_beenthere=got.by,
    )  # fmt: skip


def desk(got: Got) -> Written:
    """Acknowledge as another desk, with nothing that says so but a number in the subject."""
    return _answer(got, subject=f"[#{1000 + got.number}] {got.subject}", envelope_sender=got.by)


def desk_with_new_addresses(got: Got) -> Written:
    """Answer as a desk from an address of its own for each case."""
    sender = f"case-{got.number}@{got.host}"
    return _answer(got, subject=f"[#{1000 + got.number}] {got.subject}", envelope_sender=sender, sender=sender)


def desk_with_new_tags(got: Got) -> Written:
    """Answer as a desk with a tag for each case, on subjects of its own, and without naming any id."""
    sender = f"desk+{got.number}@{got.host}"
    return _answer(
        got,
        subject=f"Case {got.number} was opened",
        envelope_sender=sender,
        sender=sender,
        in_reply_to="",
        references="",
    )


def desk_without_ids(got: Got) -> Written:
    """Acknowledge as a desk on subjects of its own, without naming any id."""
    return _answer(got, subject=f"Case {got.number} was opened", envelope_sender=got.by, in_reply_to="", references="")


def challenge(got: Got) -> Written:
    """Ask for a person's confirmation, as challenge-response filters do."""
    return _answer(
        got, subject="Please confirm that you are a person", envelope_sender=got.by,
        reply_to=f"confirm+{got.number}@{got.host}",
    )  # fmt: skip


def _report(got: Got, kind: str, subject: str, note: str, status: bytes) -> Written:
    returned = entity([("Message-ID", f"<{got.message_id}>"), ("Subject", got.subject)], b"")
    raw = multipart(
        f"report; report-type={kind}",
        entity([("Content-Type", "text/plain")], note.encode()),
        status,
        entity([("Content-Type", "text/rfc822-headers")], returned),
        headers=[
            ("From", f"Mail Delivery System <MAILER-DAEMON@{got.host}>" if kind == "delivery-status" else got.by),
            ("To", "contact@example.com"),
            ("Subject", subject),
            ("Message-ID", f"<report{got.number}@{got.host}>"),
            ("MIME-Version", "1.0"),
        ],
    )
    return Written(raw=raw, envelope_sender="")


def bounce(got: Got) -> Written:
    """RFC 3464."""
    fields = f"Reporting-MTA: dns; mx.{got.host}\r\n\r\nFinal-Recipient: rfc822; {got.by}\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    status = entity([("Content-Type", "message/delivery-status")], fields.encode())
    return _report(got, "delivery-status", "Undelivered Mail Returned to Sender", "It could not be delivered.", status)


def receipt(got: Got) -> Written:
    """RFC 8098: it was displayed."""
    fields = f"Final-Recipient: rfc822; {got.by}\r\nOriginal-Message-ID: <{got.message_id}>\r\nDisposition: automatic-action/MDN-sent-automatically; displayed\r\n"
    status = entity([("Content-Type", "message/disposition-notification")], fields.encode())
    return _report(got, "disposition-notification", f"Read: {got.subject}", "It was displayed.", status)


def redirect(got: Got) -> Written:
    """Send the mail on, unchanged."""
    return Written(raw=got.raw, envelope_sender=got.by)


def redirect_with_new_ids(got: Got) -> Written:
    """Send the mail on under an id of its own, as some gateways do."""
    return Written(
        raw=with_fields(got.raw, Message_ID=f"<again{got.number}@{got.host}>", Date="Tue, 03 Mar 2026 09:00:00 +0000"),
        envelope_sender=got.by,
    )


MACHINES: dict[str, Machine] = {
    machine.__name__: machine
    for machine in (
        vacation_of_gmail,
        vacation_of_exchange,
        vacation_of_sieve,
        vacation_by_subject_alone,
        mailer_daemon,
        list_auto_answer,
        desk,
        desk_with_new_addresses,
        desk_with_new_tags,
        desk_without_ids,
        challenge,
        bounce,
        receipt,
        redirect,
        redirect_with_new_ids,
    )
}
