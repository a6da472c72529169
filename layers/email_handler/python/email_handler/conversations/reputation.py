"""Reputation: whether too much of what was sent came back. SES reviews an account with 5 % bounces or 0.1 % complaints,
and pauses one that goes on (https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html)."""

from email_handler.values import dataclass

BOUNCE_LIMIT = 0.03
"""The share of bounces that is too much: below SES's, so that there is time to act."""
COMPLAINT_LIMIT = 0.001
MIN_BOUNCES = 5  # up to four say nothing, whatever their share: one of ten is a mailbox that was full
MIN_COMPLAINTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """How much was sent within some time, and what of it came back."""

    sent: int
    bounced: int
    complained: int

    @property
    def excessive(self) -> bool:
        """Whether the share of bounces or complaints is too large, and not by chance."""
        return (self.bounced >= MIN_BOUNCES and self.bounced > BOUNCE_LIMIT * self.sent) or (
            self.complained >= MIN_COMPLAINTS and self.complained > COMPLAINT_LIMIT * self.sent
        )

    def __str__(self) -> str:
        return f"{self.bounced} bounces and {self.complained} complaints for {self.sent} emails in the last week"
