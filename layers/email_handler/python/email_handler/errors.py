"""The one error tree. A class answers the only question a queue consumer has: whether retrying helps.

Use cases and handlers never catch these, save where a use case's contract says what a failure means
(a sender parks a job whose error is permanent). Adapters translate AWS's errors into them.
Messages name what happened and what to do; they never hold an address or a body.
"""


class EmailHandlerError(Exception):
    """Anything that this project raises on purpose."""


class PermanentError(EmailHandlerError):
    """Retrying cannot help: the same input fails the same way."""


class TransientError(EmailHandlerError):
    """Retrying can help: the queue or the asynchronous invocation tries again."""


class SettingsError(EmailHandlerError):
    """The deployment is wrong. Raised at cold start, naming every bad variable at once."""


class MalformedJob(PermanentError):
    """A queue message that is not one of ours: bad JSON, unknown version or kind, missing ids."""


class MalformedEvent(PermanentError):
    """An invocation without what every SES event has, a messageId above all."""


class UnknownConversation(PermanentError):
    """A job names a conversation, message or ledger item that the table does not hold."""


class NotHeld(PermanentError):
    """The operator wants to release or confirm what is not held, or what the filter has no say in."""


class ArchiveObjectMissing(PermanentError):
    """The archive holds no object at a key that a record names."""


class BadRules(PermanentError):
    """A spam rules document that cannot be used at all: not TOML, or without one usable rule.

    Whoever reads the configuration keeps the last good set, or takes the built-in one.
    """


class MessageRefused(PermanentError):
    """SES said definitely no, and will say so again: rejected content, bad header, unverified identity."""


class MessageTooLarge(MessageRefused):
    """The composed message is over what SES takes (40 MB through v2 ``SendEmail``)."""


class ArchiveUnavailable(TransientError):
    """S3 did not answer, throttled, or failed on its side."""


class RecordsUnavailable(TransientError):
    """DynamoDB did not answer, throttled, or failed on its side."""


class RecordChanged(TransientError):
    """A conditional write lost a race: read anew and decide again."""


class QueueUnavailable(TransientError):
    """SQS did not take a job, or EventBridge an event."""


class HealthUnknown(TransientError):
    """SES or SQS did not say how they are."""


class ConfigUnavailable(TransientError):
    """SSM or the configuration object could not be read and no earlier copy is at hand."""


class SendingThrottled(TransientError):
    """SES took nothing and will take it later: rate, connection refused, DNS, 5xx with an SES error body."""


class SendingBlocked(TransientError):
    """SES takes nothing until somebody acts or a day passes: quota, MAIL FROM not verified, sending paused.

    Senders wait longer for these (4 days instead of 12 hours) before they park a job.
    """


class SendOutcomeUnknown(TransientError):
    """The request was written and no answer read: the mail may have left. Never taken for a refusal."""


class LeaseHeld(TransientError):
    """Another worker is sending this very job; its lease still runs."""


class RetryLater(TransientError):
    """A send was put off: the ledger says QUEUED and when. The queue must show the job again after ``delay``."""

    def __init__(self, message: str, delay: int) -> None:
        """Keep *delay*, whole seconds (SQS's visibility timeout: at most 12 hours)."""
        super().__init__(message)
        self.delay = delay
