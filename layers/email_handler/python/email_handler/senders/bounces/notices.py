"""Notices of failure without a standard, which mail systems write for people: Exim, qmail, Exchange and many more.

They are read by what they have in common, not by a table of products: a daemon wrote it, it reports that something was
not delivered, the failed address begins a line or is beside an SMTP reply, and the returned message follows.
Every scan is one bounded pass over lines.
"""

import re
from collections.abc import Sequence

from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import split_address
from email_handler.mail.message import Message
from email_handler.mail.patterns import regex
from email_handler.senders.bounces import words
from email_handler.senders.bounces.feedback import Feedback, FeedbackKind
from email_handler.senders.bounces.reports import RETURNED_TYPES, Report, leaves
from email_handler.senders.bounces.ses_events import NOTIFICATION
from email_handler.senders.machines import automatic, is_list, is_no_reply

_DAEMON = regex(
    r"mailer-?daemon|mail-?daemon|post_?master|mail[. ]deliver|mail ?system|mdaemon|smtp|(?:^|[=._+-])ndr$"
    r"|system[ ._-]administrator"
)
_DAEMON_NAME = regex(
    r"mail deliver|delivery s(?:ub)?system|mailer[- ]?daemon|post ?master|system administrator|mail system"
    r"|mail administrator|ndr administrator|mail router"
)
_FAILURE = regex(
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
_DELAY = regex(
    r"\(delay\)|delayed mail|delivery (?:is |has been |was )?delayed|message (?:is |has been )?delayed|still being retried"
    r"|delivery incomplete|could not send message for past|will (?:be |keep |continue )?(?:retri|retry|trying)"
    r"|been postponed"
    r"|not yet been delivered|warning message only|do not need to resend"
)
_GIVEN_UP = regex(r"failed permanently|permanent (?:error|failure)|given up|giving up|gave up")
_SOUNDS_FINAL = regex(r"could not be delivered")  # unless the notice promises to continue
_CONTINUES = regex(r"attempts will (?:be )?continue|will continue to (?:try|attempt)")

_OPENING = 6  # lines in which a notice states its purpose; forwarding clients put as many lines above it
_NAMED_BELOW = 3  # lines further it names an address
_FORWARDED = regex(r"\s*(?:fwd?|wg|tr|rv|enc|doorst|vs|vl|pd|i)\s*:")
_PERSONAL = regex(r"\b(?:my|hello|hi|hey|dear|hallo|guten tag|bonjour|hola|ciao|regards)\b")
_ANNOUNCES = regex(r"(?:following|these) (?:\w{1,20} )?(?:recipient|address|user|mailbox)|did not receive")
_BEGINS_LINE = regex(r"[\s>*•·\-\u2013\"'<|]{0,12}(?:to: ?<?|(?:failed )?recipient: ?<?|address: ?<?)?", re.IGNORECASE)
_BESIDE = regex(
    r"\b[45]\d\d\b|rcpt to|recipient|unknown|mailbox|deliver|user|account|address|reject|full|quota|failed|undeliver"
)


def is_failure_notice(message: Message, report: Report, envelope_sender: str | None) -> bool:
    """Return whether a daemon wrote *message*, and it reports a failed delivery.

    Weaker signs of a machine (the null sender, ``Auto-Submitted``, a no-reply address) count only together with a
    status code or a returned message: shops write about parcels that could not be delivered, and people who left write
    about mail that is no longer read.
    """
    types = {part.content_type for part in leaves(message.root)}
    if "message/disposition-notification" in types:
        return False  # RFC 8098: the message was displayed, or deleted unread
    if message.header("X-Failed-Recipients") or message.root.content_type == "multipart/report":
        return True
    local_parts = [split_address(mailbox.address)[0].lower() for mailbox in message.from_]
    daemon = (
        any(_DAEMON.search(local) for local in (*local_parts, (envelope_sender or "").lower()))
        or any(_DAEMON_NAME.search(mailbox.name.lower()) for mailbox in message.from_)
        or (not message.from_ and bool(_DAEMON.search(message.header("From").lower())))
    )
    notice = report.notice
    evidence = bool(
        report.below or words.ENHANCED_STATUS.search(notice) or NOTIFICATION in notice or RETURNED_TYPES & types
    )
    if daemon:
        return evidence or _reports_failure(message)
    if _has_form_of_notice(message, notice):
        return True
    machine = automatic(message, envelope_sender) or any(map(is_no_reply, local_parts))
    return bool(machine) and evidence and _reports_failure(message) and not is_list(message)


def read_notice(message: Message, report: Report) -> Feedback | None:
    """Return what a notice of failure reports, None if it reports something else.

    *message* is a notice by :func:`is_failure_notice`.
    """
    lines = report.notice.split("\n")
    recipients = (
        words.distinct(words.addresses_in(message.header("X-Failed-Recipients")))
        or _failed_addresses(message, lines)
        or report.returned_recipients
    )
    status = words.best_status_in(report.notice)
    if message.root.content_type == "multipart/report" and not (recipients and (status or _reports_failure(message))):
        return None  # a read receipt or another report
    wording = f"{message.subject}\n{report.notice}".lower()
    waits = _CONTINUES.search(wording) or (_DELAY.search(wording) and not _SOUNDS_FINAL.search(wording))
    delayed = bool(waits) and not _GIVEN_UP.search(wording)
    return Feedback(
        kind=FeedbackKind.DELAY if delayed else FeedbackKind.BOUNCE,
        recipients=recipients,
        status=status,
        permanent=not delayed and not status.startswith("4"),
        original_message_id=report.original_message_id,
        diagnostic=words.without_addresses(_diagnostic_line(lines)),
    )


def _reports_failure(message: Message) -> bool:
    start = " ".join(words.lines_of(message.text)[:80])[:8000]
    wording = f"{message.subject[: words.LINE_LIMIT]} {start}".lower().replace("\u2019", "'")
    return _FAILURE.search(wording) is not None or NOTIFICATION.lower() in wording


def _has_form_of_notice(message: Message, notice: str) -> bool:
    """Return whether *message* has the form of a notice of failure, whoever signed it: the subject reports a failure,
    the first lines do so again, and right below them stands an address that is not one of the message's own."""
    subject = message.subject[: words.LINE_LIMIT].lower()
    if _FORWARDED.match(subject) or not _FAILURE.search(subject.replace("\u2019", "'")):
        return False
    own = _correspondents(message)
    lines = [line for line in words.lines_of(notice) if line.strip()][: _OPENING + _NAMED_BELOW]
    stated: int | None = None
    for number, line in enumerate(lines):
        wording = line.lower().replace("\u2019", "'")
        if wording.lstrip().startswith(">") or _PERSONAL.search(wording):
            return False
        address = _leading_address(line)
        if stated is not None and number - stated <= _NAMED_BELOW and address and address.lower() not in own:
            return True
        if number < _OPENING and _FAILURE.search(wording):
            stated = number
    return False


def _failed_addresses(message: Message, lines: Sequence[str]) -> tuple[EmailAddress, ...]:
    """Return the addresses that a notice is about: those that begin a line, else those beside an SMTP reply, else any.

    The notice's own sender and recipients count only if there is no other: people do write to themselves.
    """
    own = _correspondents(message)
    ranks: tuple[list[EmailAddress], ...] = ([], [], [], [])
    for line in _below_announcement(lines):
        addresses = words.addresses_in(line)
        if not addresses:
            continue
        begins = bool(_leading_address(line))
        rank = 0 if begins else 1 if _BESIDE.search(line.lower()) else 2
        for address in addresses[:1] if begins else addresses:
            local = address.partition("@")[0].lower()
            foreign = address.lower() not in own and not _DAEMON.fullmatch(local)
            ranks[rank if foreign else 3].append(address)
    return next((words.distinct(addresses) for addresses in ranks if addresses), ())


def _correspondents(message: Message) -> set[str]:
    everyone = (*message.to, *message.cc, *message.from_, *message.sender, *message.reply_to)
    return {mailbox.address.lower() for mailbox in everyone}


def _leading_address(line: str) -> str:
    """Return the address that *line* begins with, "" if it begins with anything else."""
    addresses = words.addresses_in(line)
    start = _BEGINS_LINE.match(line)
    begins = addresses and start is not None and line[start.end() :].lower().startswith(addresses[0].lower())
    return addresses[0] if begins else ""


def _below_announcement(lines: Sequence[str]) -> Sequence[str]:
    """Return the lines below the one that announces the failed addresses, all lines without one.

    Above it may stand the returned message's own To.
    """
    for number, line in enumerate(lines):
        if line.rstrip().endswith(":") and _ANNOUNCES.search(line.lower()):
            below = lines[number + 1 :]
            return below if any(map(_leading_address, below)) else lines
    return lines


def _diagnostic_line(lines: Sequence[str]) -> str:
    """Return the first line with an enhanced status code, else the first with a reply code, else ""."""
    return next(
        (line for pattern in (words.ENHANCED_STATUS, words.REPLY_CODE) for line in lines if pattern.search(line)), ""
    )
