"""Feedback: one report of a bounce, a delay, a complaint or a rejection, in whichever form it came."""

from enum import StrEnum
from typing import Literal

from email_handler.identifiers import EmailAddress, LedgerId, SesId
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

CONTENT_SUBTYPES = frozenset({"MessageTooLarge", "ContentRejected", "AttachmentRejected"})
"""SES's ``bounceSubType`` values for a refused content. SES calls them transient."""

# RFC 3463 §3.3, §3.4, §3.7: message length, message too big for the system, media; the words for 5.7.x and the rest.
_CONTENT_STATUS = regex(r"5\.(?:2\.3|3\.4|6\.\d{1,3})")
_CONTENT_WORDS = regex(
    r"(?i)too (?:large|big)\b|message (?:file )?(?:size|length)|message exceed|attachment|file type|virus|malware"
    r"|(?:bad|its|message|blocked|prohibited|executable) content|content (?:rejected|denied|not allowed|policy|filter)"
    r"|" + "|".join(sorted(CONTENT_SUBTYPES))
)


class FeedbackKind(StrEnum):
    """What is reported."""

    BOUNCE = "bounce"  # given up
    COMPLAINT = "complaint"  # the recipient marked the message as spam
    DELAY = "delay"  # still being tried
    REJECT = "reject"  # SES itself refused the content (a virus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """One report about one message that we sent."""

    kind: FeedbackKind
    recipients: tuple[EmailAddress, ...]  # those concerned, as the report spells them; empty if it names none
    status: str  # RFC 3463 such as "5.1.1"; "5.0.0" if only an SMTP reply code is stated; "" without either
    permanent: bool  # trying again cannot help
    original_message_id: str = ""  # of the returned message, without angle brackets; "" if the report lacks it
    diagnostic: str = ""  # the remote server's words on one line, addresses replaced
    ses_id: SesId | Literal[""] = ""  # from SES's events: which copy of a send it was
    ledger: LedgerId | Literal[""] = ""  # from SES's events: which send it was
    report: str = ""  # SES's id of the report, "" if it gives none

    @property
    def suppressed(self) -> bool:
        """Return whether SES sent nothing, because an earlier message to the address bounced or was complained about."""
        return self.kind is FeedbackKind.BOUNCE and "suppress" in self.diagnostic.lower()

    @property
    def refuses_content(self) -> bool:
        """Return whether the message was refused for its size or its attachments, so that its text alone may pass.

        A full mailbox does not count, nor does a refusal as spam: that is not sent a second time.
        """
        if self.kind not in (FeedbackKind.BOUNCE, FeedbackKind.REJECT) or "spam" in self.diagnostic.lower():
            return False
        if _CONTENT_STATUS.fullmatch(self.status):
            return True
        return self.status[1:] != ".2.2" and _CONTENT_WORDS.search(self.diagnostic) is not None
