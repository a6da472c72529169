"""Who is who in one deployment: the public addresses, the thread subdomain, the owner's mailboxes."""

from collections.abc import Iterable
from dataclasses import replace

from email_handler.conversations.records import Conversation
from email_handler.conversations.thread_address import ThreadTarget, read_thread_address
from email_handler.identifiers import EmailAddress, FunctionName
from email_handler.mail.addresses import address_domain, can_be_written_to, split_tag
from email_handler.mail.message import Message
from email_handler.values import dataclass

NOTICES = "notices"  # local part that notices come from; messages to it are dropped with a record


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who is who in one conversation, for composing and masking."""

    public_address: EmailAddress
    display_name: str
    domain: str  # the public address's domain
    thread_domain: str
    private_addresses: tuple[EmailAddress, ...]  # every owner's mailbox and alias
    hidden_terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Owners:
    """The deployment's addresses, all lower-case. One value per invocation, the routes' mailboxes included."""

    public_addresses: tuple[EmailAddress, ...]
    thread_domain: str
    forward_to: tuple[EmailAddress, ...]
    owner_aliases: tuple[EmailAddress, ...] = ()
    hidden_terms: tuple[str, ...] = ()
    display_name: str = ""
    routed: frozenset[EmailAddress] = frozenset()  # every mailbox that a route names

    def addresses(self, conversation: Conversation | None = None) -> frozenset[str]:
        """Return every address of the owners: mailboxes, aliases, and those that routes or *conversation* name."""
        mailboxes = conversation.mailboxes if conversation else ()
        return frozenset((*self.forward_to, *self.owner_aliases, *self.routed, *mailboxes))

    def include(self, address: str, conversation: Conversation | None = None) -> bool:
        """Return whether *address*, in any case, is one of :meth:`addresses`."""
        return address.lower() in self.addresses(conversation)

    def may_be_written_to(self, address: str, conversation: Conversation | None = None) -> bool:
        """Return whether a reply may go to *address*: SES accepts it, and it is neither ours nor an owner's."""
        return can_be_written_to(address) and not self.is_ours(address) and not self.include(address, conversation)

    def reply_address(self, message: Message) -> EmailAddress | None:
        """Return where a reply to *message* goes: Reply-To's first address, else From's; None if neither will do."""
        first = (*message.reply_to[:1], *message.from_[:1])
        return next((box.address for box in first if self.may_be_written_to(box.address)), None)

    def public_recipients(self, recipients: Iterable[str]) -> tuple[tuple[EmailAddress, str], ...]:
        """Return each public address among *recipients*, without its tag, and the tag.

        SES delivers ``contact+tag@`` to a rule for ``contact@``; the first one's tag is the message's source.
        """
        split = map(split_tag, map(str.lower, recipients))
        return tuple((address, tag) for address, tag in split if address in self.public_addresses)

    def header_recipients(self, message: Message, function: FunctionName) -> tuple[EmailAddress, ...]:
        """Return *function*'s recipients that *message* names in To and Cc, for when the envelope is lost.

        For ``reply`` the thread addresses, whose tokens are still to be compared. For ``inbound`` the public addresses
        (tags kept), and last the first public address, for a message that names none (a blind copy).
        """
        named = [mailbox.address for mailbox in (*message.to, *message.cc)]
        if function == "reply":
            return tuple(address for address in named if read_thread_address(address, self.thread_domain))
        return (*(address for address in named if self.public_recipients([address])), self.public_addresses[0])

    def thread_targets(self, recipients: Iterable[str]) -> tuple[ThreadTarget, ...]:
        """Return what the thread addresses among *recipients* claim, each conversation once, with the tags of all its
        addresses: two different ones are no command. The tokens are still to be compared."""
        found: dict[tuple[str, str], ThreadTarget] = {}
        for address in recipients:
            target = read_thread_address(address, self.thread_domain)
            if target is not None:
                before = found.get((target.conversation, target.token), target)
                tags = dict.fromkeys(filter(None, (before.tag, target.tag)))
                found[target.conversation, target.token] = replace(before, tag="+".join(tags))
        return tuple(found.values())

    def is_ours(self, address: str) -> bool:
        """Return whether *address* is a public address (tagged or not) or in the thread subdomain."""
        return address.lower().endswith("@" + self.thread_domain) or bool(self.public_recipients([address]))

    @property
    def notices_address(self) -> EmailAddress:
        """Return the address that notices to the owner come from."""
        return EmailAddress(f"{NOTICES}@{self.thread_domain}")

    def identity(self, conversation: Conversation) -> Identity:
        """Return who is who for composing a message of *conversation*.

        A public address stays public even if it is listed as an alias or in a route: every reply shows it.
        """
        private = (address for address in self.addresses(conversation) if not self.is_ours(address))
        return Identity(
            public_address=conversation.public_address,
            display_name=self.display_name,
            domain=address_domain(conversation.public_address),
            thread_domain=self.thread_domain,
            private_addresses=tuple(sorted(map(EmailAddress, private))),
            hidden_terms=self.hidden_terms,
        )
