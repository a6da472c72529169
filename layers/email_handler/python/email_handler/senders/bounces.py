"""What became of mail we sent: bounces, delays and complaints, as mail and as SES's events.

Mail comes in three shapes: reports with a machine-readable part (RFC 3464, RFC 5965), the same fields written into
the text by mailers that know no such part, and notices for people (Exim, qmail, Sendmail, Exchange, Google, mail.ru,
Domino …). The last are read by what they have in common, not by a table of products: a daemon wrote it, it says that
something was not delivered, the failed address begins a line or stands beside an SMTP reply, and the returned
message follows. Every scan is one bounded pass over lines.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from email_handler.identifiers import EmailAddress, SesId
from email_handler.mail.message import Message, Part
from email_handler.senders.machines import automatic, is_automatic_subject, is_list, is_no_reply

_TEXT_LIMIT = 65_536  # characters read of a report, a notice, or a returned message's header
_LINES_LIMIT = 1_500
_LINE_LIMIT = 2_000
_RECIPIENTS_LIMIT = 50  # what one message of SES can have
_DIAGNOSTIC_LIMIT = 300
# RFC 3463 §3.3, §3.4, §3.7: message length, message too big for the system, media; the words for 5.7.x and the rest.
_CONTENT_STATUS = re.compile(r"5\.(?:2\.3|3\.4|6\.\d{1,3})")
_CONTENT_SUBTYPES = frozenset({"MessageTooLarge", "ContentRejected", "AttachmentRejected"})  # SES's, called transient
_CONTENT_WORDS = re.compile(
    r"(?i)too (?:large|big)\b|message (?:file )?(?:size|length)|message exceed|attachment|file type|virus|malware"
    r"|(?:bad|its|message|blocked|prohibited|executable) content|content (?:rejected|denied|not allowed|policy|filter)"
    r"|" + "|".join(sorted(_CONTENT_SUBTYPES))
)


class FeedbackKind(StrEnum):
    """What the report says."""

    BOUNCE = "bounce"  # given up
    COMPLAINT = "complaint"  # the recipient called it spam
    DELAY = "delay"  # still being tried
    REJECT = "reject"  # SES itself refused the content (a virus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One report about one message of ours."""

    kind: FeedbackKind
    recipients: tuple[EmailAddress, ...]  # whom it concerns, as the report writes them; empty where it doesn't say
    status: str  # RFC 3463 such as "5.1.1"; "5.0.0" where only an SMTP reply code is stated; "" where nothing is
    permanent: bool  # trying again cannot help
    original_message_id: str = ""  # of the returned message, without angle brackets; "" where it isn't in the report
    diagnostic: str = ""  # the remote server's words on one line, addresses replaced
    ses_id: SesId | Literal[""] = ""  # from SES's events: which send it was

    @property
    def refuses_content(self) -> bool:
        """Tell whether the mail was refused for its size or for what is attached, so that its text alone may pass.
        A full mailbox is no such refusal, and what was taken for spam is not sent a second time."""
        if self.kind not in (FeedbackKind.BOUNCE, FeedbackKind.REJECT) or "spam" in self.diagnostic.lower():
            return False
        if _CONTENT_STATUS.fullmatch(self.status):
            return True
        return self.status[1:] != ".2.2" and _CONTENT_WORDS.search(self.diagnostic) is not None


def read_feedback(message: Message, envelope_sender: str | None) -> Feedback | None:
    """Read *message* as a bounce, delay or complaint; None where it is none.

    *envelope_sender* is the SMTP return path, "" for the null one, None where it is not known. A success report
    (RFC 3464 "delivered", "relayed") is None, and so is a bounce that a person forwards. Never raises.
    """
    report = _Report.of(message)
    if report.complaint or _is_forwarded_complaint(message, report):
        return _complaint(report)
    groups = _recipient_groups(report.status)
    notice = _notices_failure(message, envelope_sender)
    if not groups and notice:
        groups = _recipient_groups(report.notice) or _recipient_groups(report.returned_text)
    if groups:
        return _bounce(report, groups)
    if not notice or is_automatic_subject(message.subject):
        return None
    if _NOTIFICATION in report.notice:
        return _from_notification(report.notice)
    return _from_notice(message, report)


def feedback_from_event(detail: Mapping[str, Any]) -> Feedback | None:
    """Read one of SES's event records: EventBridge's ``detail``, or the JSON of an SNS notification.

    None for other events (Send, Delivery, Open …) and for what has not their shape. Never raises.
    """
    kind = str(detail.get("eventType") or detail.get("notificationType") or "").replace(" ", "").lower()
    mail = _mapping(detail, "mail")
    ses_id = SesId(_text(mail, "messageId"))
    if not ses_id:
        return None
    destination = [{"emailAddress": address} for address in _items(mail, "destination")]
    if kind == "bounce":
        body = _mapping(detail, "bounce")
        final = _text(body, "bounceType") == "Permanent" or _text(body, "bounceSubType") in _CONTENT_SUBTYPES
        return _event(FeedbackKind.BOUNCE, ses_id, body, "bouncedRecipients", final)
    if kind == "complaint":
        return _event(FeedbackKind.COMPLAINT, ses_id, _mapping(detail, "complaint"), "complainedRecipients", True)
    if kind == "deliverydelay":
        return _event(FeedbackKind.DELAY, ses_id, _mapping(detail, "deliveryDelay"), "delayedRecipients", False)
    if kind == "reject":
        body = {"recipients": destination, "reason": _mapping(detail, "reject").get("reason")}
        return _event(FeedbackKind.REJECT, ses_id, body, "recipients", True)
    return None


# --- SES's events ---------------------------------------------------------------------------------------------------


def _event(kind: FeedbackKind, ses_id: SesId, body: Mapping[str, Any], key: str, permanent: bool) -> Feedback:
    entries = [entry for entry in _items(body, key) if isinstance(entry, Mapping)]
    recipients = (address for entry in entries for address in _addresses(_text(entry, "emailAddress")))
    diagnostic = next((text for entry in entries if (text := _text(entry, "diagnosticCode"))), _text(body, "reason"))
    if (subtype := _text(body, "bounceSubType")) in _CONTENT_SUBTYPES:
        diagnostic = f"{subtype}: {diagnostic}"
    status = next((text for entry in entries if (text := _status(_text(entry, "status")))), "")
    return Feedback(
        kind=kind,
        recipients=_distinct(recipients),
        status=status or _status_of_words(diagnostic),
        permanent=permanent,
        diagnostic=_without_addresses(diagnostic),
        ses_id=ses_id,
    )


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _items(value: Mapping[str, Any], key: str) -> Sequence[Any]:
    found = value.get(key)
    return found[:_RECIPIENTS_LIMIT] if isinstance(found, list) else ()


def _text(value: Mapping[str, Any], key: str) -> str:
    found = value.get(key)
    return found[:_LINE_LIMIT] if isinstance(found, str) else ""


def _from_notification(notice: str) -> Feedback | None:
    """Read SES's JSON, which comes as mail where somebody subscribed the notification topic by e-mail."""
    start = notice.lstrip()
    for _ in range(2):  # SNS may wrap it once
        if not start.startswith("{"):
            return None
        try:
            detail, _end = json.JSONDecoder(strict=False).raw_decode(start)
        except (ValueError, RecursionError):
            return None
        feedback = feedback_from_event(detail)
        if feedback is not None:
            return feedback
        start = str(detail.get("Message", ""))
    return None


# --- The parts of a report ------------------------------------------------------------------------------------------

_STATUS_TYPES = ("message/delivery-status", "message/global-delivery-status", "message/x-delivery-status")
_RETURNED_TYPES = {
    *("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "text/rfc822-header"),
    *("message/global", "message/global-headers", "message/partial"),
}


@dataclass(slots=True, kw_only=True)
class _Report:
    """The pieces that matter of a mail that may be a report."""

    notice: str  # what is written for people, up to the returned message
    status: str = ""  # delivery-status parts
    complaint: str = ""  # feedback-report parts
    returned_text: str = ""  # the returned message, or its header
    returned: dict[str, str] = field(default_factory=dict)  # its first fields by lower-case name
    threads_to: str = ""  # the id that the report itself claims to answer

    @classmethod
    def of(cls, message: Message) -> "_Report":
        notice, after = _split_returned(message.text)
        report = cls(notice=notice)
        for part in _leaves(message.root):
            if part.content_type in _STATUS_TYPES:
                report.status += "\n\n" + _decoded(part)
            elif part.content_type == "message/feedback-report":
                report.complaint += "\n\n" + _decoded(part)
            elif report.returned_text or part is message.root:
                continue
            elif part.content_type in _RETURNED_TYPES or _holds_header(part):
                report.returned_text = _decoded(part)
            elif any(header.name.lower() == "received" for header in part.headers):
                # A mailer that opens the part with the returned message's own header.
                report.returned_text = "\n".join(f"{header.name}: {header.raw}" for header in part.headers)
        report.returned_text = report.returned_text or after
        report.returned = _header_fields(report.returned_text or report.status)
        answered = (*message.in_reply_to, *reversed(message.references))
        report.threads_to = answered[0] if answered else ""
        return report

    @property
    def original_message_id(self) -> str:
        """The returned message's own id; Exchange and Google also thread their reports to it."""
        own = self.returned.get("message-id", "")
        return own.strip().strip("<>").strip() or self.threads_to


def _leaves(part: Part) -> Iterator[Part]:
    """Yield the leaves that belong to the report itself: never what stands inside the returned message."""
    if part.content_type in _RETURNED_TYPES or part.content_type in _STATUS_TYPES or not part.children:
        yield part
        return
    for child in part.children:
        yield from _leaves(child)


def _holds_header(part: Part) -> bool:
    """Tell whether a text part is a returned message's header, attached as plain text."""
    return part.content_type == "text/plain" and part.payload[:40].lstrip().lower().startswith(_HEADER_OCTETS)


def _decoded(part: Part) -> str:
    """Return the start of a report part as text: ASCII by its RFC, and what is not does not matter here."""
    return part.payload[:_TEXT_LIMIT].decode("utf-8", errors="replace")


_LINE_END = re.compile(r"\r\n|\r|\n")


def _lines(text: str) -> list[str]:
    return [line[:_LINE_LIMIT] for line in _LINE_END.split(text[:_TEXT_LIMIT])[:_LINES_LIMIT]]


_DIVIDER = re.compile(
    r"copy of (?:the|your) (?:original )?message|original (?:message|mail)|returned message|unsent message|message headers?"
    r"|message text follows|header of the original|undelivered message|forwarded message|original headers"
    r"|元のメール|исходное сообщение|ursprüngliche nachricht|message d'origine"
)
_NO_DIVIDER = re.compile(r"original message was|receive a copy")
_DRAWN = ("-", "=", "*", "_", "|", "#", "~", "<")
_DIVIDER_LIMIT = 120  # a divider is one line on a screen
_HEADER_STARTS = ("received:", "return-path:", "dkim-signature:", "x-received:", "arc-seal:", "x-google-smtp-source:")
_HEADER_OCTETS = tuple(start.encode() for start in _HEADER_STARTS)


def _split_returned(text: str) -> tuple[str, str]:
    """Split a notice where the message it returns begins: at a divider line, or at a field of the mail's header."""
    lines = _lines(text)
    for number, line in enumerate(lines):
        stripped = line.strip().lower()
        drawn = stripped.startswith(_DRAWN) or stripped.endswith(":") or stripped.rstrip(". ").endswith("follows")
        divides = drawn or "follow." in stripped
        divider = divides and len(stripped) < _DIVIDER_LIMIT and _DIVIDER.search(stripped) is not None
        if (divider and not _NO_DIVIDER.search(stripped)) or stripped.startswith(_HEADER_STARTS):
            return "\n".join(lines[:number]), "\n".join(lines[number:])
    return "\n".join(lines), ""


_FIELD_NAME = re.compile(r"[!-9;-~]{1,60}")


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield (name in lower case, value) of each field in *text*, continuation lines joined; ("", "") for a gap."""
    name, value = "", ""
    for line in (*_lines(text), ""):
        if name and line[:1] in (" ", "\t") and line.strip():
            value += " " + line.strip() if len(value) < _LINE_LIMIT else ""
            continue
        if name:
            yield name, value
        head, colon, rest = line.lstrip("> \t").partition(":")
        name, value = (head.lower(), rest.strip()) if colon and _FIELD_NAME.fullmatch(head) else ("", "")
        if not name:
            yield "", ""


def _header_fields(text: str) -> dict[str, str]:
    """Return the first value of each field of a returned message: of its header, and before it whatever there is."""
    fields: dict[str, str] = {}
    for name, value in _fields(text):
        if not name and "message-id" in fields:
            break
        if name:
            fields.setdefault(name, value)
    return fields


# --- Complaints (RFC 5965) ------------------------------------------------------------------------------------------

_FORWARDED_COMPLAINT = "x-hmxmroriginalrecipient"  # Microsoft's JMRP: the complaint is the forwarded mail itself

_NO_COMPLAINT = ("not-spam", "auth-failure", "dkim", "dmarc")  # RFC 6430, RFC 6591: reports about authentication


def _is_forwarded_complaint(message: Message, report: _Report) -> bool:
    senders = {mailbox.address.lower() for mailbox in message.from_}
    return _FORWARDED_COMPLAINT in report.returned and "staff@hotmail.com" in senders


def _complaint(report: _Report) -> Feedback | None:
    fields = [(name, value) for name, value in _fields(report.complaint) if name]
    kind = next((value.strip().lower() for name, value in fields if name == "feedback-type"), "abuse")
    if kind in _NO_COMPLAINT:
        return None
    recipients = _distinct(
        address
        for wanted in ("original-rcpt-to", "removal-recipient", "x-original-rcpt-to")
        for name, value in fields
        if name == wanted
        for address in _addresses(value)
    )
    return Feedback(
        kind=FeedbackKind.COMPLAINT,
        recipients=recipients or _returned_recipients(report),
        status="",
        permanent=True,
        original_message_id=report.original_message_id,
        diagnostic=_without_addresses(kind),
    )


# --- Delivery reports (RFC 3464) ------------------------------------------------------------------------------------


def _recipient_groups(text: str) -> list[dict[str, str]]:
    """Return the per-recipient groups of a delivery report (RFC 3464 §2.3).

    Blank lines end a group; mailers that put them elsewhere, or leave them out, are read by the fields' order.
    """
    groups: list[dict[str, str]] = [{}]
    for name, value in _fields(text):
        group = groups[-1]
        starts = name in ("final-recipient", "original-recipient") and name in group
        if starts or (not name and _named(group)):
            groups.append({})
        if name:
            groups[-1].setdefault(name, value)
    found: list[dict[str, str]] = []
    for group in groups:
        if _named(group):
            found.append(group)
        elif found:
            for name, value in group.items():
                found[-1].setdefault(name, value)
    return found


def _named(group: Mapping[str, str]) -> bool:
    return "final-recipient" in group or "original-recipient" in group


_SUCCESSES = ("delivered", "relayed", "expanded", "deliverable")  # RFC 3464 §2.3.3; mailers also say "expired"


def _action(group: Mapping[str, str]) -> str:
    words = group.get("action", "failed").lower().split()
    return words[0].strip(";,()") if words else "failed"


def _bounce(report: _Report, groups: Sequence[Mapping[str, str]]) -> Feedback | None:
    actions = [_action(group) for group in groups]
    failed = [group for group, action in zip(groups, actions, strict=True) if action not in (*_SUCCESSES, "delayed")]
    chosen = failed or [group for group, action in zip(groups, actions, strict=True) if action == "delayed"]
    kind = FeedbackKind.BOUNCE if failed else FeedbackKind.DELAY
    if not chosen:
        return None
    recipients = _distinct(
        address
        for group in chosen
        for name in ("final-recipient", "original-recipient")
        for address in _addresses(group.get(name, "").rpartition(";")[2])[:1]
    )
    diagnostic = next((group["diagnostic-code"] for group in chosen if group.get("diagnostic-code")), "")
    stated = (_status(group.get("status", "")) for group in chosen)
    status = next((text for text in stated if text), "") or _status_of_words(diagnostic)
    return Feedback(
        kind=kind,
        recipients=recipients or _returned_recipients(report),
        status=status,
        permanent=kind is FeedbackKind.BOUNCE and not status.startswith("4"),
        original_message_id=report.original_message_id,
        diagnostic=_without_addresses(diagnostic.removeprefix("smtp;").removeprefix("SMTP;")),
    )


# --- Notices for people ---------------------------------------------------------------------------------------------

_DAEMON = re.compile(
    r"mailer-?daemon|mail-?daemon|post_?master|mail[. ]deliver|mail ?system|mdaemon|smtp|(?:^|[=._+-])ndr$"
    r"|system[ ._-]administrator"
)
_DAEMON_NAME = re.compile(
    r"mail deliver|delivery s(?:ub)?system|mailer[- ]?daemon|post ?master|system administrator|mail system"
    r"|mail administrator|ndr administrator|mail router"
)
_FAILURE = re.compile(
    r"undeliver|non[- ]?deliver|not (?:yet )?(?:been |be )?deliver|failed recipient|deliver.{0,120}been postponed|un(?:able|successful) to deliver|wasn't able to deliver"
    r"|returned (?:mail|to sender)|returning (?:message|mail) to sender|failure notice|fail(?:ed|ure) (?:to )?deliver"
    r"|deliver[a-z]{0,5} (?:has |have |was |is )?(?:status|fail|problem|error|incomplete|aborted|delayed|unsuccessful)"
    r"|mail (?:system )?(?:fail|error)|message (?:fail|rejected|bounced|blocked|not sent)|bounce notification"
    r"|could ?n[o']t (?:be )?(?:send|sent|reach|deliver)|did not reach|cannot (?:send|be delivered|deliver)"
    r"|error (?:sending|while attempting to deliver|delivering|condition|in processing)|trouble delivering"
    r"|there was an error|permanent (?:fatal )?(?:error|failure)|delayed mail|message delayed|could not send message"
    r"|delivery to the following|user unknown|unknown user|mailbox (?:is )?full|over quota|no such user"
    r"|unzustellbar|nicht zugestellt|zustellung|nicht zustellbar|non remis|non distribu|échec de la remise"
    r"|no se (?:pudo|puede|ha podido) entregar|no entregado|não (?:foi )?entreg|falha na entrega|mancata consegna"
    r"|non recapitabil|onbestelbaar|niet bezorgd|kunde inte leverer|ikke leveres|olevererbar|niedostarczon"
    r"|nedoručiteln|kézbesíthetetlen|не доставлен|недоставлен|не может быть доставлен|не удалось доставить"
    r"|配信不能|配信(?:でき|エラー|状況)|送信(?:でき|エラー)|配送(?:でき|エラー|失敗)|メールエラー|エラーメール|届け|退信|投递失败|无法投递|無法投遞|未送达|배달|반송|전송 실패"
)
_DELAY = re.compile(
    r"\(delay\)|delayed mail|delivery (?:is |has been |was )?delayed|message (?:is |has been )?delayed|still being retried"
    r"|delivery incomplete|could not send message for past|will (?:be |keep |continue )?(?:retri|retry|trying)"
    r"|been postponed"
    r"|not yet been delivered|warning message only|do not need to resend"
)
_GIVEN_UP = re.compile(r"failed permanently|permanent (?:error|failure)|given up|giving up|gave up")
_SOUNDS_FINAL = re.compile(r"could not be delivered")  # unless more is promised
_CONTINUES = re.compile(r"attempts will (?:be )?continue|will continue to (?:try|attempt)")


_NOTIFICATION = "notificationType"  # of SES's JSON, sent on by SNS


def _notices_failure(message: Message, envelope_sender: str | None) -> bool:
    """Tell whether a daemon wrote *message* and says that mail failed.

    What only says that no person wrote it (the null sender, ``Auto-Submitted``, a no-reply address) counts where a
    status code or a returned message goes with it: shops write about parcels that could not be delivered, and
    people who left about mail that is no longer read.
    """
    types = {part.content_type for part in _leaves(message.root)}
    if "message/disposition-notification" in types:
        return False  # RFC 8098: somebody read it, or deleted it unread
    if message.header("X-Failed-Recipients") or message.root.content_type == "multipart/report":
        return True
    local_parts = [mailbox.address.rpartition("@")[0].lower() for mailbox in message.from_]
    daemon = (
        any(_DAEMON.search(local) for local in (*local_parts, (envelope_sender or "").lower()))
        or any(_DAEMON_NAME.search(mailbox.name.lower()) for mailbox in message.from_)
        or (not message.from_ and bool(_DAEMON.search(message.header("From").lower())))
    )
    notice, returned = _split_returned(message.text)
    evidence = bool(returned or _ENHANCED.search(notice) or _NOTIFICATION in notice or _RETURNED_TYPES & types)
    if daemon:
        return evidence or _says_failure(message)
    if _has_form_of_notice(message, notice):
        return True
    machine = automatic(message, envelope_sender) or any(map(is_no_reply, local_parts))
    return bool(machine) and evidence and _says_failure(message) and not is_list(message)


_OPENING = 6  # lines in which a notice says what it is for; clients that forward one put as many above it
_NAMED_BELOW = 3  # lines further it names an address
_FORWARDED = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|doorst|vs|vl|pd|i)\s*:")
_PERSONAL = re.compile(r"\b(?:my|hello|hi|hey|dear|hallo|guten tag|bonjour|hola|ciao|regards)\b")


def _has_form_of_notice(message: Message, notice: str) -> bool:
    """Tell whether *message* is a notice of failure by its form, whoever signed it: the subject says so, the first
    lines say so again, and right below them an address stands alone that is neither the sender's nor ours."""
    subject = message.subject[:_LINE_LIMIT].lower()
    if _FORWARDED.match(subject) or not _FAILURE.search(subject.replace("\u2019", "'")):
        return False
    ours = _correspondents(message)
    lines = [line for line in _lines(notice) if line.strip()][: _OPENING + _NAMED_BELOW]
    stated: int | None = None
    for number, line in enumerate(lines):
        words = line.lower().replace("\u2019", "'")
        if words.lstrip().startswith(">") or _PERSONAL.search(words):
            return False
        address = _leading_address(line)
        if stated is not None and number - stated <= _NAMED_BELOW and address and address.lower() not in ours:
            return True
        if number < _OPENING and _FAILURE.search(words):
            stated = number
    return False


def _from_notice(message: Message, report: _Report) -> Feedback | None:
    lines = report.notice.split("\n")
    recipients = (
        _distinct(_addresses(message.header("X-Failed-Recipients")))
        or _failed_addresses(message, lines)
        or _returned_recipients(report)
    )
    diagnostic = _diagnostic_line(lines)
    status = _status_of_words(report.notice)
    if message.root.content_type == "multipart/report" and not (recipients and (status or _says_failure(message))):
        return None  # a read receipt or another report
    words = f"{message.subject}\n{report.notice}".lower()
    waits = _CONTINUES.search(words) or (_DELAY.search(words) and not _SOUNDS_FINAL.search(words))
    delayed = bool(waits) and not _GIVEN_UP.search(words)
    return Feedback(
        kind=FeedbackKind.DELAY if delayed else FeedbackKind.BOUNCE,
        recipients=recipients,
        status=status,
        permanent=not delayed and not status.startswith("4"),
        original_message_id=report.original_message_id,
        diagnostic=_without_addresses(diagnostic),
    )


def _says_failure(message: Message) -> bool:
    start = " ".join(_lines(message.text)[:80])[:8000]
    words = f"{message.subject[:_LINE_LIMIT]} {start}".lower().replace("\u2019", "'")
    return _FAILURE.search(words) is not None or _NOTIFICATION.lower() in words


_ADDRESS = re.compile(r"[^\s@<>\"'(),;:\[\]{}|*]{1,64}@[^\s@<>\"'(),;:\[\]{}|*/]{1,255}")
_BEGINS_LINE = re.compile(
    r"[\s>*•·\-\u2013\"'<|]{0,12}(?:to: ?<?|(?:failed )?recipient: ?<?|address: ?<?)?", re.IGNORECASE
)
_BESIDE = re.compile(
    r"\b[45]\d\d\b|rcpt to|recipient|unknown|mailbox|deliver|user|account|address|reject|full|quota|failed|undeliver"
)


def _failed_addresses(message: Message, lines: Sequence[str]) -> tuple[EmailAddress, ...]:
    """Return the addresses a notice is about: those that begin a line, else those beside an SMTP reply, else any.

    The notice's own sender and recipient count only where there is no other: people do write to themselves.
    """
    ours = _correspondents(message)
    lines = _below_announcement(lines)
    ranks: tuple[list[EmailAddress], ...] = ([], [], [], [])
    for line in lines:
        addresses = _addresses(line)
        if not addresses:
            continue
        begins = bool(_leading_address(line))
        rank = 0 if begins else 1 if _BESIDE.search(line.lower()) else 2
        for address in addresses[:1] if begins else addresses:
            local = address.partition("@")[0].lower()
            foreign = address.lower() not in ours and not _DAEMON.fullmatch(local)
            ranks[rank if foreign else 3].append(address)
    return next((_distinct(addresses) for addresses in ranks if addresses), ())


def _correspondents(message: Message) -> set[str]:
    everyone = (*message.to, *message.cc, *message.from_, *message.sender, *message.reply_to)
    return {mailbox.address.lower() for mailbox in everyone}


def _leading_address(line: str) -> str:
    """Return the address that *line* begins with, "" where it begins otherwise."""
    addresses = _addresses(line)
    start = _BEGINS_LINE.match(line)
    begins = addresses and start is not None and line[start.end() :].lower().startswith(addresses[0].lower())
    return addresses[0] if begins else ""


_ANNOUNCES = re.compile(r"(?:following|these) (?:\w{1,20} )?(?:recipient|address|user|mailbox)|did not receive")


def _below_announcement(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines below the one that announces the failed addresses, all where it announces none: above it
    may stand the returned message's own To."""
    for number, line in enumerate(lines):
        if line.rstrip().endswith(":") and _ANNOUNCES.search(line.lower()):
            below = lines[number + 1 :]
            return below if any(map(_leading_address, below)) else lines
    return lines


def _diagnostic_line(lines: Sequence[str]) -> str:
    """Return the line with an enhanced status code, else the one with a reply code."""
    for pattern in (_ENHANCED, _REPLY):
        for line in lines:
            if pattern.search(line):
                return line
    return ""


def _returned_recipients(report: _Report) -> tuple[EmailAddress, ...]:
    """Return to whom the returned message went, where that is one person: of several any may have failed."""
    for name in ("x-envelope-to", _FORWARDED_COMPLAINT, "x-failed-recipients", "original-recipient", "to"):
        found = _distinct(_addresses(report.returned.get(name, "")))
        if len(found) == 1:
            return found
    return ()


# --- Words ----------------------------------------------------------------------------------------------------------

_ENHANCED = re.compile(r"(?<![\d.])[45]\.\d{1,3}\.\d{1,3}(?!\d|\.\d)")  # RFC 3463 §2; not a piece of an IP address
_AFTER_REPLY = re.compile(
    r"(?<![\d.])[45]\d\d[ \-]{1,3}\(?#?([45]\.\d{1,3}\.\d{1,3})(?!\d|\.\d)|#([45]\.\d{1,3}\.\d{1,3})\b"
)
_REPLY = re.compile(r"(?<![\d.:\-/])([45])[0-57]\d(?=[ \-]|$)(?! ?(?:bytes|kb|mb|seconds|hours))", re.MULTILINE)


def _status(value: str) -> str:
    found = _ENHANCED.search(value[:_LINE_LIMIT])
    return found.group() if found else ""


def _status_of_words(text: str) -> str:
    """Return the enhanced code that *text* states, best beside a reply code; of a bare reply code its class."""
    beside = _AFTER_REPLY.search(text)
    if beside:
        return beside.group(1) or beside.group(2)
    enhanced = _ENHANCED.search(text)
    if enhanced:
        return enhanced.group()
    reply = _REPLY.search(text)
    return f"{reply.group(1)}.0.0" if reply else ""


def _addresses(text: str) -> list[EmailAddress]:
    found: list[EmailAddress] = []
    for match in _ADDRESS.finditer(text[:_LINE_LIMIT]):
        local, _, domain = match.group().rstrip(".!?").removeprefix("mailto:").rpartition("@")
        local = local[5:] if local[:5].lower() == "smtp=" else local  # Exchange's notation
        domain = domain.partition("..")[0]  # Sendmail's words follow an address without a space
        if local and domain:
            found.append(EmailAddress(f"{local}@{domain.lower()}"))
    return found[:_RECIPIENTS_LIMIT]


def _distinct(addresses: Iterable[EmailAddress]) -> tuple[EmailAddress, ...]:
    distinct: dict[str, EmailAddress] = {}
    for address in addresses:
        distinct.setdefault(address.lower(), address)
    return tuple(distinct.values())[:_RECIPIENTS_LIMIT]


def _without_addresses(text: str) -> str:
    words = ("[address]" if "@" in word else word for word in text[:_LINE_LIMIT].split())
    return " ".join(words)[:_DIAGNOSTIC_LIMIT]
