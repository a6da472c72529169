"""What SES found out about a received message, and what of it proves who wrote (DESIGN 4)."""

from dataclasses import dataclass

from email_handler.domain.identifiers import EmailAddress, ReceiptId
from email_handler.domain.message import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One SES receipt, normalised at the edge. Verdicts are open strings, upper-case, "" where missing:
    PASS, FAIL, GRAY, PROCESSING_FAILED and DISABLED have been seen."""

    id: ReceiptId
    envelope_sender: str  # "" for the null sender (bounces)
    recipients: tuple[EmailAddress, ...]  # receipt.recipients: what this rule matched, the envelope
    spam: str
    virus: str
    spf: str
    dkim: str
    dmarc: str
    dmarc_policy: str  # none, quarantine, reject, "" where missing


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderProof:
    """Whether the mail proves who wrote it, and why not where it does not."""

    address: EmailAddress | None  # From's single address when proven, else None
    reason: str  # constant: "dmarc pass", "dkim aligned", "spf aligned", "two From fields", ...

    @property
    def proven(self) -> bool:
        """Tell whether the From address may be believed."""
        return self.address is not None


def prove_sender(message: Message, receipt: Receipt) -> SenderProof:
    """Decide DESIGN 4's "sender proven" for *message* as SES received it under *receipt*."""
    raise NotImplementedError
