"""Who is who in one deployment: the public addresses, the thread subdomain, the owner's mailboxes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from email_handler.conversations.identity import Identity
from email_handler.conversations.records import Conversation
from email_handler.conversations.threads import ThreadTarget, read_thread_address
from email_handler.identifiers import EmailAddress, FunctionName
from email_handler.mail.message import Message

NOTICES = "notices"  # local part that notices come from; mail to it is dropped with a record


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The deployment's parameters about persons and addresses, all lower-case."""

    public_addresses: tuple[EmailAddress, ...]
    thread_domain: str
    forward_to: tuple[EmailAddress, ...]
    owner_aliases: tuple[EmailAddress, ...] = ()
    hidden_terms: tuple[str, ...] = ()
    display_name: str = ""

    def addresses(
        self, conversation: Conversation | None = None, further: Iterable[EmailAddress] = ()
    ) -> frozenset[str]:
        """Return every address that is the owner's: mailboxes, aliases, those a conversation is routed to."""
        routed = conversation.mailboxes if conversation else ()
        return frozenset((*self.forward_to, *self.owner_aliases, *routed, *further))

    def is_private(
        self, address: str, conversation: Conversation | None = None, further: Iterable[EmailAddress] = ()
    ) -> bool:
        """Tell whether *address*, in whatever case it was written, is one of :meth:`owners`."""
        return address.lower() in self.addresses(conversation, further)

    def public_recipients(self, recipients: Iterable[str]) -> tuple[tuple[EmailAddress, str], ...]:
        """Return each of *recipients* that is a public address, without its tag, and the tag.

        SES delivers ``contact+tag@`` to a rule for ``contact@``; the first's tag is the message's source.
        """
        found: list[tuple[EmailAddress, str]] = []
        for recipient in recipients:
            local, _, domain = recipient.lower().rpartition("@")
            base, _, tag = local.partition("+")
            address = EmailAddress(f"{base}@{domain}")
            if address in self.public_addresses:
                found.append((address, tag))
        return tuple(found)

    def header_recipients(self, message: Message, function: FunctionName) -> tuple[EmailAddress, ...]:
        """Return those of *function*'s recipients that *message* names in To and Cc, for where the envelope is lost.

        For ``reply`` its thread addresses, whose tokens are still to be compared; for ``inbound`` its public addresses
        (tags kept), and last the first of all, which stands for mail that names none: a blind copy, say.
        """
        named = [mailbox.address for mailbox in (*message.to, *message.cc)]
        if function == "reply":
            return tuple(address for address in named if read_thread_address(address, self.thread_domain))
        return (*(address for address in named if self.public_recipients([address])), self.public_addresses[0])

    def thread_targets(self, recipients: Iterable[str]) -> tuple[ThreadTarget, ...]:
        """Return what the thread addresses among *recipients* name, each conversation once and for everyone where one
        of its addresses says so. Their tokens are still to be compared."""
        named: dict[tuple[str, str], ThreadTarget] = {}
        for address in recipients:
            target = read_thread_address(address, self.thread_domain)
            if target is not None:
                before = named.get((target.conversation, target.token), target)
                named[target.conversation, target.token] = replace(before, everyone=before.everyone or target.everyone)
        return tuple(named.values())

    def is_ours(self, address: str) -> bool:
        """Tell whether *address* is a public address (tagged or not) or lies in the thread subdomain."""
        return address.lower().endswith("@" + self.thread_domain) or bool(self.public_recipients([address]))

    @property
    def notices_address(self) -> EmailAddress:
        """Return the address that notices to the owner come from."""
        return EmailAddress(f"{NOTICES}@{self.thread_domain}")

    def identity(self, conversation: Conversation, further: Iterable[EmailAddress] = ()) -> Identity:
        """Return who is who for composing mail of *conversation*; *further* mailboxes (routes') are private too.

        A public address is no secret, whoever names it as an alias or in a route: each answer bears it.
        """
        private = (a for a in self.addresses(conversation, further) if not self.is_ours(a))
        return Identity(
            public_address=conversation.public_address,
            display_name=self.display_name,
            domain=conversation.public_address.rpartition("@")[2],
            thread_domain=self.thread_domain,
            private_addresses=tuple(sorted(map(EmailAddress, private))),
            hidden_terms=self.hidden_terms,
        )
