"""Reputation: whether too much of what was sent came back. SES reviews an account with 5 % bounces or 0.1 % complaints,
and pauses one that goes on (https://docs.aws.amazon.com/ses/latest/dg/reputationdashboardmessages.html)."""

from dataclasses import dataclass

BOUNCES = 0.03
"""Share of bounces that is too much: before SES's limit, so that there is time to act."""
COMPLAINTS = 0.001
FEW_BOUNCES = 5  # up to four say nothing, whatever their share: one of ten is a mailbox that was full
FEW_COMPLAINTS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """How much was sent within some time, and what of it came back."""

    sent: int
    bounced: int
    complained: int

    @property
    def excessive(self) -> bool:
        """Whether the share of bounces or complaints is too large, and not by chance."""
        return (self.bounced >= FEW_BOUNCES and self.bounced > BOUNCES * self.sent) or (
            self.complained >= FEW_COMPLAINTS and self.complained > COMPLAINTS * self.sent
        )

    def __str__(self) -> str:
        return f"{self.bounced} bounces and {self.complained} complaints for {self.sent} emails in the last week"
