"""The one error tree. Its classes say what a queue consumer must know: whether retrying helps.

Use cases and handlers never catch these, unless a use case's contract says what a failure means (a sender
dead-letters a job whose error is permanent). Adapters translate AWS's errors into them.
Texts name what happened and what to do. They never contain an address or a body.
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
    """A queue message that is not one of our jobs: bad JSON, unknown version or kind, missing ids."""


class MalformedEvent(PermanentError):
    """An invocation with an event that is none of the kinds we handle, such as an SES event without messageId."""


class UnknownConversation(PermanentError):
    """A job names a conversation, message or ledger item that the table does not hold."""


class NotHeld(PermanentError):
    """The operator wants to release or confirm a message that is not held, or that the filter did not hold."""


class ArchiveObjectMissing(PermanentError):
    """The archive holds no object at a key that a record names."""


class BadWords(PermanentError):
    """A model of words cannot be read."""


class BadRules(PermanentError):
    """A spam rules document that cannot be used at all: not TOML, or without one usable rule.

    The reader of the configuration keeps the last good set, or takes the built-in one.
    """


class MessageRefused(PermanentError):
    """SES refused for good: rejected content, bad header."""


class MessageTooLarge(MessageRefused):
    """The composed message is larger than SES accepts (40 MB through v2 ``SendEmail``)."""


class ArchiveUnavailable(TransientError):
    """S3 did not answer, throttled, or failed on its side."""


class RecordsUnavailable(TransientError):
    """DynamoDB did not answer, throttled, or failed on its side."""


class RecordChanged(TransientError):
    """A conditional write lost a race: read and decide again."""


class QueueUnavailable(TransientError):
    """SQS did not accept a job, or EventBridge an event."""


class HealthUnknown(TransientError):
    """SES, SQS or SNS could not be asked."""


class ConfigUnavailable(TransientError):
    """SSM or the configuration object could not be read and there is no earlier copy."""


class SendingThrottled(TransientError):
    """SES did not accept the message now but will later: rate, connection refused, DNS, 5xx with an SES error body."""


class SendingBlocked(TransientError):
    """SES accepts nothing until somebody acts or a day passes: quota, sending paused, an identity or MAIL FROM not
    verified, no configuration set.

    Senders wait longer for these (4 days instead of 12 hours) before they dead-letter a job.
    """


class SendOutcomeUnknown(TransientError):
    """The request was written and no response read: the message may have left. Never treated as a refusal."""


class LeaseHeld(TransientError):
    """Another worker is sending this job; its lease still runs."""


class JobFailed(TransientError):
    """A sender met what it does not expect, such as a table that cannot be reached: the function fails, which sets off
    its alarm, and the queue delivers the job again."""


class RetryLater(TransientError):
    """A send was put off: the ledger says QUEUED and when it is due. The queue must show the job again after ``delay``."""

    def __init__(self, message: str, delay: int) -> None:
        """Keep *delay*, whole seconds (SQS's visibility timeout: at most 12 hours)."""
        super().__init__(message)
        self.delay = delay
