"""The environment, read once and checked as a whole: one settings class per kind of function.

Fields are the variables' names in lower case; a template test holds template.yaml to them.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Self, get_type_hints

from email_handler.conversations.owners import Owners
from email_handler.errors import SettingsError
from email_handler.identifiers import EmailAddress
from email_handler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every function reads. Subclasses add theirs."""

    table_name: str
    archive_bucket: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the class's fields from *environ*. Raises SettingsError that names every bad variable.

        Tuples are comma-separated lists (trimmed, empty entries dropped) and may be empty. Texts must not be empty,
        except those whose default is "".
        """
        problems: list[str] = []
        values: dict[str, object] = {}
        hints = get_type_hints(cls)
        for field in fields(cls):
            name = field.name.upper()
            given = environ.get(name, "").strip()
            if hints[field.name] is int:
                if given.isdecimal():
                    values[field.name] = int(given)
                else:
                    problems.append(f"{name} is not a whole number")
            elif hints[field.name] is str:
                values[field.name] = given
                if not given and field.default != "":
                    problems.append(f"{name} is missing or empty")
            else:
                values[field.name] = tuple(item.strip() for item in given.split(",") if item.strip())
        if problems:
            raise SettingsError("; ".join(problems) + ". Set them in template.yaml and deploy again.")
        return cls(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentSettings(Settings):
    """attachment: only the archive and the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerSettings(Settings):
    """The public addresses, the thread subdomain and the owner's mailboxes."""

    public_addresses: tuple[str, ...]
    thread_domain: str
    forward_to: tuple[str, ...]
    owner_aliases: tuple[str, ...]  # further addresses the owner writes from
    hidden_terms: tuple[str, ...]  # further words that must not leave
    display_name: str = ""  # shown with the public address in acknowledgements and replies

    def owners(self) -> Owners:
        """Return the variables about persons and addresses as one value."""
        return Owners(
            public_addresses=_addresses(self.public_addresses),
            thread_domain=self.thread_domain.lower(),
            forward_to=_addresses(self.forward_to),
            owner_aliases=_addresses(self.owner_aliases),
            hidden_terms=self.hidden_terms,
            display_name=self.display_name,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivingSettings(OwnerSettings):
    """reply, and most of inbound."""

    ack_queue_url: str
    forward_queue_url: str
    reply_queue_url: str
    rules_parameter: str  # name of the SSM parameter that points to the spam rules
    routes_parameter: str  # likewise the routes
    signature_parameter: str  # likewise the signatures of replies
    learned_parameter: str  # likewise the personal model
    unchecked_parts: str  # "tell" or "hold": what to do with a reply whose parts were not all read in full
    ack_daily_cap: int
    ack_daily_cap_per_domain: int
    reply_delay_seconds: int  # for which a reply waits, and can be cancelled
    new_conversations_daily_cap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundSettings(ReceivingSettings):
    """inbound: its daily pass also asks SES and the dead-letter queues for their state."""

    domain: str
    alarm_topic_arn: str
    dead_letter_queue_urls: tuple[str, ...]
    rule_set: str = ""  # SES's receipt rule set, if the stack has one


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingSettings(OwnerSettings):
    """The three senders."""

    queue_url: str  # its own queue, for the visibility timeout of a failed job
    dead_letter_queue_url: str
    configuration_set: str
    timeout_seconds: int  # the function's own time-out: a lease outlives it
    acknowledgement_parameter: str  # name of the SSM parameter that points to the acknowledgement's templates
    routes_parameter: str  # likewise the routes, whose mailboxes no reply may show
    signature_parameter: str  # likewise the signatures of replies
    notice_queue_url: str  # for the notice about a reply that could not be sent


def _addresses(given: tuple[str, ...]) -> tuple[EmailAddress, ...]:
    return tuple(EmailAddress(address.lower()) for address in given)
