"""Ten exchanges, with each email client on either side, stay one conversation and one thread in each mailbox."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloud.mailclient import read, with_fields
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.evolve import MAX_LINKS
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import Conversation, Decision
from email_handler.identifiers import EmailAddress
from tests.support.builders import mail
from tests.support.clients import (
    CLIENTS,
    Client,
    Draft,
    MailboxMessage,
    in_reply_to_is_known,
    one_thread_in_apple_mail,
    one_thread_in_gmail,
    one_thread_in_outlook,
)
from tests.support.fakes import Sent
from tests.support.world import OWNER, PUBLIC, THREAD, World

JANE = "jane@customer.example"
SECOND = EmailAddress("second@private.example")
UNVERIFIED = {"dmarc": "GRAY", "spf": "GRAY", "dkim": "GRAY"}
EXCHANGES = 10

type Change = Callable[[bytes], bytes]
"""What a mail server or an email client changes in a reply before it reaches us."""


@dataclass
class Dialogue:
    """A contact and an owner who write to each other, with the contents of their mailboxes."""

    world: World = field(default_factory=World)
    contact: Client = CLIENTS["gmail_web"]
    owner: Client = CLIENTS["gmail_web"]
    contacts: list[bytes] = field(default_factory=list)  # the contact's mailbox, sent copies included
    owners: dict[str, list[bytes]] = field(default_factory=dict)  # each of the owner's mailboxes
    ours: set[bytes] = field(default_factory=set)
    decisions: list[Decision] = field(default_factory=list)
    _number: int = 0

    def start(self, subject: str = "A question", **fields: Any) -> list[Sent]:
        """Let the contact write for the first time."""
        raw = mail(subject=subject, message_id="<first@customer.example>", **fields)
        self.contacts.append(raw)
        return self._arrive(raw, PUBLIC)

    def contact_replies(self, change: Change = bytes, to: int = -1) -> list[Sent]:
        """Let the contact reply to the message at index *to* among those from us in their mailbox."""
        received = [one for one in self.contacts if one in self.ours][to]
        raw = change(self.contact(received, self._draft(f"Jane Doe <{JANE}>", "customer.example")))
        self.contacts.append(raw)
        return self._arrive(raw, PUBLIC)

    def owner_replies(
        self,
        change: Change = bytes,
        to: int = -1,
        mailbox: str = OWNER,
        sender: str = "",
        verdicts: dict[str, str] | None = None,
    ) -> list[Sent]:
        """Let the owner reply to the message at index *to* among those from us in *mailbox*."""
        received = [one for one in self.owners[mailbox] if one in self.ours][to]
        raw = change(self.owner(received, self._draft(f"The Owner <{sender or mailbox}>", "private.example")))
        self.owners[mailbox].append(raw)
        return self._arrive(raw, reply_address(received), **(verdicts or {}))

    def _draft(self, sender: str, host: str) -> Draft:
        self._number += 1
        return Draft(sender=sender, message_id=f"m{self._number}@{host}", text=f"This is number {self._number}.")

    def _arrive(self, raw: bytes, to: str, **verdicts: str) -> list[Sent]:
        self.decisions.append(self.world.arrive(raw, to=to, **verdicts))
        left = self.world.run()
        for sent in left:
            if sent.sender == self.world.owners.notices_address:
                continue
            delivered = with_fields(
                sent.raw,
                Message_ID=f"<{sent.ses_id}@email.amazonses.com>",
                Date="Mon, 02 Mar 2026 09:30:00 +0000",
            )
            self.ours.add(delivered)
            for recipient in sent.recipients:
                private = recipient in {OWNER, SECOND}
                (self.owners.setdefault(recipient, []) if private else self.contacts).append(delivered)
        return left

    @property
    def conversation(self) -> Conversation:
        (conversation,) = self.world.records.conversations.values()
        return conversation

    def mailbox(self, whose: str) -> list[MailboxMessage]:
        raws = self.contacts if whose == JANE else self.owners[whose]
        return [MailboxMessage.of(raw, ours=raw in self.ours) for raw in raws]


def reply_address(received: bytes) -> str:
    """Return the address in the From field of a message of ours. Parsing only the header saves most of the time."""
    return str(read(received.partition(b"\r\n\r\n")[0])["From"].addresses[0].addr_spec)


def without(*names: str) -> Change:
    """Return a change that removes the header fields *names*."""
    return lambda raw: b"\r\n".join(
        line
        for line in raw.split(b"\r\n")
        if not line.lower().startswith(tuple(f"{n.lower()}:".encode() for n in names))
    )


def renamed(front: str) -> Change:
    """Return a change that puts *front* before the subject."""
    return lambda raw: with_fields(raw, Subject=mail_subject(front + str(read(raw)["Subject"])))


def mail_subject(subject: str) -> str:
    written = mail(subject=subject).split(b"Subject: ")[1].split(b"\r\n")[0]
    return written.decode()


def assert_one_thread(dialogue: Dialogue, *whose: str) -> None:
    """Assert that everything is one conversation, and one thread in each mailbox by the rules of every client."""
    assert dialogue.conversation, "one conversation"
    for name in whose or (JANE, OWNER):
        mailbox = dialogue.mailbox(name)
        assert one_thread_in_gmail(mailbox), [(m.subject, m.referenced) for m in mailbox]
        assert one_thread_in_outlook(mailbox), [(m.subject, m.referenced) for m in mailbox]
        assert one_thread_in_apple_mail(mailbox), [m.referenced for m in mailbox]
        assert in_reply_to_is_known(mailbox), [(m.message_id, m.referenced) for m in mailbox]
        assert max(len(m.referenced) for m in mailbox if m.ours) <= MAX_LINKS + 1
    assert {decision.conversation for decision in dialogue.decisions} == {dialogue.conversation.id}
    assert {decision.outcome for decision in dialogue.decisions} <= {Outcome.DELIVER, Outcome.RELAY}


CHANGES: dict[str, Change] = {
    "unchanged": bytes,
    "without In-Reply-To": without("In-Reply-To"),
    "without References": without("References"),
    "without any id": without("In-Reply-To", "References", "Thread-Index", "Thread-Topic"),
    "Re:": renamed("Re: "),
    "AW:": renamed("AW: "),
    "SV:": renamed("SV: "),
    "回复:": renamed("回复: "),
    "[EXT]": renamed("[EXT] "),
    "a gateway's own label": renamed("[CAUTION: External Sender] "),
}


NAMES = list(CLIENTS)
PAIRS = [(one, NAMES[(place + 1) % len(NAMES)]) for place, one in enumerate(NAMES)]
"""Each client once on either side; ON_BOTH_SIDES has other pairs. All 36 pairs pass too but take a while."""


@pytest.mark.parametrize(("contact", "owner"), PAIRS)
def test_ten_exchanges_between_two_clients_are_one_conversation_and_one_thread(contact: str, owner: str) -> None:
    dialogue = Dialogue(contact=CLIENTS[contact], owner=CLIENTS[owner])
    dialogue.start()
    for _ in range(EXCHANGES):
        (reply,) = dialogue.owner_replies()
        (forward,) = dialogue.contact_replies()

        assert reply.recipients == (JANE,)
        assert forward.recipients == (OWNER,)

    assert_one_thread(dialogue)
    assert (dialogue.conversation.received, dialogue.conversation.sent) == (EXCHANGES + 1, EXCHANGES)


ON_BOTH_SIDES = [
    (change, tuple(CHANGES)[place - 3], (NAMES[place % len(NAMES)], NAMES[(place + 2 + place // 6) % len(NAMES)]))
    for place, change in enumerate(CHANGES)
]
"""Each change on either side, with another one on the other side, by clients that PAIRS does not have."""


@pytest.mark.parametrize(("contacts", "owners", "clients"), ON_BOTH_SIDES)
def test_ten_exchanges_with_changed_headers_on_both_sides_are_one_conversation_and_one_thread(
    contacts: str, owners: str, clients: tuple[str, str]
) -> None:
    dialogue = Dialogue(contact=CLIENTS[clients[0]], owner=CLIENTS[clients[1]])
    dialogue.start()
    for _ in range(EXCHANGES):
        dialogue.owner_replies(CHANGES[owners])
        dialogue.contact_replies(CHANGES[contacts])

    assert_one_thread(dialogue)


@pytest.mark.parametrize(("change", "client"), [(h, NAMES[place % len(NAMES)]) for place, h in enumerate(CHANGES)])
@pytest.mark.parametrize("side", ["contact", "owner"])
def test_exchanges_with_a_changed_header_on_one_side_are_one_conversation_and_one_thread(
    side: str, client: str, change: str
) -> None:
    dialogue = Dialogue(**{side: CLIENTS[client]})  # type: ignore[arg-type]  # either of the two fields of that type
    dialogue.start()
    for _ in range(4):
        dialogue.owner_replies(CHANGES[change] if side == "owner" else bytes)
        dialogue.contact_replies(CHANGES[change] if side == "contact" else bytes)

    assert_one_thread(dialogue)


@pytest.mark.parametrize("client", CLIENTS)
def test_replies_to_an_old_message_stay_in_the_thread_and_refer_to_that_message(client: str) -> None:
    dialogue = Dialogue(contact=CLIENTS[client], owner=CLIENTS[client])
    dialogue.start()
    for number in range(EXCHANGES):
        back = -1 if number < 3 else -3
        dialogue.owner_replies(to=back)
        dialogue.contact_replies(to=back)

    assert_one_thread(dialogue)
    last_reply = [m for m in dialogue.mailbox(JANE) if m.ours][-1]
    forwards = [m for m in dialogue.mailbox(OWNER) if m.ours]
    assert last_reply.referenced[0] != [m for m in dialogue.mailbox(JANE) if not m.ours][-2].message_id
    assert forwards[-1].referenced[0] != [m for m in dialogue.mailbox(OWNER) if not m.ours][-1].message_id


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
def test_a_reply_to_an_old_message_goes_to_its_reply_address_by_either_id_field(field: str) -> None:
    dialogue = Dialogue(owner=CLIENTS["apple_mail"])
    dialogue.start()
    dialogue.owner_replies()
    dialogue.contact_replies(lambda raw: with_fields(raw, Reply_To="sales@customer.example"))

    (old,) = dialogue.owner_replies(without(field), to=0)
    (new,) = dialogue.owner_replies(without(field), to=-1)
    assert [one.recipients for one in (old, new)] == [(JANE,), ("sales@customer.example",)]
    assert read(old.raw)["In-Reply-To"] == "<first@customer.example>"


@pytest.mark.parametrize(
    "subject",
    [
        "A question",
        "Ref: 2026-117",
        "AW: An old matter",
        "[EXT] A question",
        "Fwd: The offer",
        "Angebot für Müller & Söhne",
        "质量问题",
        "Re:",
        "",
        "x" * 190 + " and the rest of a very long subject, which goes on and on " + "y" * 150,
    ],
)
def test_any_first_subject_leads_to_one_thread(subject: str) -> None:
    dialogue = Dialogue()
    dialogue.start(subject)
    for _ in range(3):
        dialogue.owner_replies()
        dialogue.contact_replies()

    assert_one_thread(dialogue)


def test_a_changed_subject_is_used_on_both_sides_from_then_on() -> None:
    dialogue = Dialogue()
    dialogue.start()
    dialogue.owner_replies(lambda raw: with_fields(raw, Subject="Re: The price list"))
    dialogue.contact_replies(lambda raw: with_fields(raw, Subject="Re: The new price list"))
    dialogue.owner_replies()

    subjects = (
        [m.subject for m in dialogue.mailbox(JANE) if m.ours],
        [m.subject for m in dialogue.mailbox(OWNER) if m.ours],
    )
    assert subjects[0][-2:] == ["Re: The price list", "Re: The new price list"]
    assert subjects[1] == ["A question", "Re: The new price list"]
    assert len({d.conversation for d in dialogue.decisions}) == 1


def test_a_subject_label_of_the_owners_email_system_never_reaches_the_contact() -> None:
    dialogue = Dialogue()
    dialogue.start()
    dialogue.owner_replies(renamed("Re: [Internal - scanned] "))

    assert [m.subject for m in dialogue.mailbox(JANE) if m.ours][-1] == "Re: A question"


# The contact's side cannot redirect the owner's replies.


def assert_replies_reach_only_jane(dialogue: Dialogue) -> None:
    """Assert that a reply to the latest forward, with and without ids, goes to Jane alone."""
    for change in (bytes, without("In-Reply-To", "References")):
        (left,) = dialogue.owner_replies(change)
        assert left.recipients == (JANE,)
    conversation = next(c for c in dialogue.world.records.conversations.values() if c.contact == JANE)
    assert conversation.reply_address == JANE
    assert conversation.subject == conversation.owner_subject == "A question"


@pytest.fixture
def dialogue() -> Dialogue:
    """Return a dialogue after two exchanges."""
    dialogue = Dialogue()
    dialogue.start()
    for _ in range(2):
        dialogue.owner_replies()
        dialogue.contact_replies()
    return dialogue


def thread(dialogue: Dialogue) -> str:
    conversation = next(c for c in dialogue.world.records.conversations.values() if c.contact == JANE)
    return f"{conversation.id}.{conversation.token}@{THREAD}"


@pytest.mark.parametrize("to", ["public", "thread"])
def test_a_contacts_unverified_message_does_not_redirect_the_owners_replies(dialogue: Dialogue, to: str) -> None:
    raw = mail(
        subject="Re: A bill to pay",
        message_id="<f@evil.example>",
        in_reply_to="<first@customer.example>",
        reply_to="mallory@evil.example",
        cc="mallory@evil.example",
    )
    dialogue.world.arrive(raw, to=PUBLIC if to == "public" else thread(dialogue), **UNVERIFIED)
    left = dialogue.world.run()

    assert [one.recipients for one in left] == [(OWNER,)]
    assert_replies_reach_only_jane(dialogue)
    conversation = next(c for c in dialogue.world.records.conversations.values() if c.contact == JANE)
    assert "mallory@evil.example" not in conversation.participants


@pytest.mark.parametrize(
    "sender", ["Jane Doe <jane@customer.example>", "Jane Doe <mallory@evil.example>", "mallory@customer.example"]
)
def test_a_message_with_forged_ids_and_subject_starts_a_new_conversation(dialogue: Dialogue, sender: str) -> None:
    ours = [m.message_id for m in dialogue.mailbox(JANE) if m.ours]
    verdicts = UNVERIFIED if JANE in sender else {}
    before = {d.conversation for d in dialogue.decisions}
    decision = dialogue.world.arrive(
        mail(
            sender=sender,
            subject="Re: A question",
            message_id="<f@evil.example>",
            in_reply_to=f"<{ours[-1]}>",
            references=" ".join(f"<{i}>" for i in ours),
            reply_to="mallory@evil.example",
        ),
        **verdicts,
    )
    dialogue.world.run()

    assert decision.conversation not in before
    assert_replies_reach_only_jane(dialogue)


def test_a_repeated_message_id_of_any_earlier_message_redirects_nothing(dialogue: Dialogue) -> None:
    theirs = [m.message_id for name in (JANE, OWNER) for m in dialogue.mailbox(name)]
    for number, taken in enumerate(theirs):
        dialogue.world.arrive(
            mail(sender="mallory@evil.example", message_id=f"<{taken}>", subject=f"n{number}", text=f"number {number}")
        )
    dialogue.world.run()

    assert_replies_reach_only_jane(dialogue)
    dialogue.contact_replies()
    assert dialogue.decisions[-1].conversation == dialogue.decisions[0].conversation


def test_a_verified_contacts_reply_to_is_followed_and_recorded_as_different() -> None:
    dialogue = Dialogue()
    dialogue.start(reply_to="jane@elsewhere.example")
    (left,) = dialogue.owner_replies()

    assert left.recipients == ("jane@elsewhere.example",)
    assert dialogue.conversation.reply_differs


@pytest.mark.parametrize("reply_to", [OWNER, PUBLIC, f"x@{THREAD}", "not an address", f"contact+x@{PUBLIC[8:]}"])
def test_a_reply_to_with_our_address_the_owners_or_an_invalid_one_is_not_followed(reply_to: str) -> None:
    dialogue = Dialogue()
    dialogue.start(reply_to=reply_to)
    (left,) = dialogue.owner_replies()

    assert left.recipients == (JANE,)


def test_an_automatic_message_does_not_redirect_the_owners_replies(dialogue: Dialogue) -> None:
    dialogue.contact_replies(
        lambda raw: with_fields(
            raw, Auto_Submitted="auto-replied", Reply_To="desk@elsewhere.example", Subject="Out of office"
        )
    )

    assert_replies_reach_only_jane(dialogue)


# Which messages count as the owner's.

RESULTS = "amazonses.com; spf={spf}; dkim={dkim} header.i=@{signer}; dmarc={dmarc} header.from=private.example;"


def reply_as_owner(
    dialogue: Dialogue, verdicts: dict[str, str], change: Change = bytes
) -> tuple[Outcome, list[tuple[str, ...]]]:
    """Let a reply arrive that claims to be the owner's; return its outcome and the recipients other than the owner."""
    left = dialogue.owner_replies(change, verdicts=verdicts)
    return dialogue.decisions[-1].outcome, [one.recipients for one in left if OWNER not in one.recipients]


REFUSED: tuple[Outcome, list[tuple[str, ...]]] = (Outcome.HOLD, [])


def on_top(*fields: tuple[str, str]) -> Change:
    return lambda raw: b"".join(f"{name}: {value}\r\n".encode() for name, value in fields) + raw


def test_a_message_with_two_from_fields_is_not_the_owners(dialogue: Dialogue) -> None:
    assert reply_as_owner(dialogue, {}, on_top(("From", "mallory@evil.example"))) == REFUSED


def test_a_message_with_two_addresses_in_from_is_not_the_owners(dialogue: Dialogue) -> None:
    for both in (f"{OWNER}, mallory@evil.example", f"mallory@evil.example, {OWNER}"):
        assert reply_as_owner(dialogue, {}, lambda raw, both=both: with_fields(raw, From=both)) == REFUSED  # type: ignore[misc]


def test_a_foreign_dkim_signature_without_a_dmarc_result_does_not_verify_the_owner(dialogue: Dialogue) -> None:
    results = RESULTS.format(spf="none", dkim="pass", signer="evil.example", dmarc="none")

    assert reply_as_owner(dialogue, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results))) == REFUSED


def test_the_owners_dkim_signature_without_a_dmarc_result_verifies_the_owner(dialogue: Dialogue) -> None:
    results = RESULTS.format(spf="none", dkim="pass", signer="private.example", dmarc="none")

    assert reply_as_owner(dialogue, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results))) == (
        Outcome.RELAY,
        [(JANE,)],
    )


def test_a_dkim_signature_of_a_subdomain_verifies_the_owner_and_one_of_a_look_alike_does_not(
    dialogue: Dialogue,
) -> None:
    for signer, outcome in (("mail.private.example", Outcome.RELAY), ("private.example.evil.test", Outcome.HOLD)):
        results = RESULTS.format(spf="none", dkim="pass", signer=signer, dmarc="none")
        decided, _ = reply_as_owner(dialogue, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results)))
        assert decided is outcome


def test_the_owners_name_at_a_subdomain_is_not_the_owner(dialogue: Dialogue) -> None:
    change: Change = lambda raw: with_fields(raw, From="owner@mail.private.example")  # noqa: E731 - named to fit the line

    assert reply_as_owner(dialogue, {}, change) == REFUSED


def test_a_second_or_forged_authentication_results_field_verifies_nothing(dialogue: Dialogue) -> None:
    good = RESULTS.format(spf="pass", dkim="pass", signer="private.example", dmarc="pass")
    bad = RESULTS.format(spf="none", dkim="none", signer="private.example", dmarc="none")
    verdicts = {"dmarc": "GRAY", "dkim": "GRAY", "spf": "GRAY"}

    assert (
        reply_as_owner(dialogue, verdicts, on_top(("Authentication-Results", bad), ("Authentication-Results", good)))
        == REFUSED
    )
    other = good.replace("amazonses.com", "mx.evil.example")
    assert reply_as_owner(dialogue, verdicts, on_top(("Authentication-Results", other))) == REFUSED
    received = ("Received", "from a by b; Mon, 02 Mar 2026 09:00:00 +0000")
    assert reply_as_owner(dialogue, verdicts, on_top(received, received, ("Authentication-Results", good))) == REFUSED


def test_a_dmarc_fail_is_not_the_owner_even_if_spf_and_dkim_pass(dialogue: Dialogue) -> None:
    results = RESULTS.format(spf="pass", dkim="pass", signer="private.example", dmarc="fail")

    assert reply_as_owner(dialogue, {"dmarc": "FAIL"}, on_top(("Authentication-Results", results))) == REFUSED


def test_the_owners_reply_to_all_arrives_at_both_functions_and_reaches_the_contact_once(dialogue: Dialogue) -> None:
    received = dialogue.owners[OWNER][-1]
    sender = str(read(received)["From"].addresses[0].addr_spec)
    raw = with_fields(
        CLIENTS["gmail_web"](received, Draft(sender=OWNER, message_id="all@private.example", text="To all.")),
        Cc=PUBLIC,
    )
    for first, second in ((PUBLIC, sender), (sender, PUBLIC)):
        copy = raw.replace(b"all@private", first[:5].encode() + b"@private")
        dialogue.world.arrive(copy, to=first, receipt=f"all-{first[:3]}")
        dialogue.world.arrive(copy, to=second, receipt=f"all-{first[:3]}")

        assert [one.recipients for one in dialogue.world.run()] == [(JANE,)]


def test_a_reply_to_all_without_ids_from_a_routed_mailbox_is_not_forwarded_to_it() -> None:
    dialogue = Dialogue()
    dialogue.world.route(f'[[route]]\naddress = "{PUBLIC}"\nto = "{SECOND}"\n'.encode())
    dialogue.start()
    received = dialogue.owners[SECOND][-1]
    raw = without("In-Reply-To", "References")(
        with_fields(
            CLIENTS["gmail_web"](received, Draft(sender=SECOND, message_id="all@private.example", text="Hi.")),
            Cc=PUBLIC,
        )
    )
    decision = dialogue.world.arrive(raw, to=PUBLIC)

    assert decision.outcome is Outcome.RECORD
    assert dialogue.world.run() == []


def test_a_reply_from_an_alias_of_the_owner_keeps_the_thread() -> None:
    alias = EmailAddress("me@alias.example")
    dialogue = Dialogue()
    object.__setattr__(dialogue.world.owners, "owner_aliases", (alias,))
    dialogue.start()
    for _ in range(3):
        (left,) = dialogue.owner_replies(sender=alias)
        assert alias.encode() not in left.raw
        dialogue.contact_replies()

    assert_one_thread(dialogue)


def test_two_mailboxes_of_the_owner_that_reply_in_turn_each_keep_their_thread() -> None:
    dialogue = Dialogue()
    dialogue.world.owners = dialogue.world.owners.__class__(
        public_addresses=(PUBLIC,), thread_domain=THREAD, forward_to=(OWNER, SECOND)
    )
    dialogue.start()
    for number in range(EXCHANGES):
        dialogue.owner_replies(mailbox=(OWNER, SECOND)[number % 2])
        dialogue.contact_replies()

    assert_one_thread(dialogue, JANE, OWNER, SECOND)
    assert len([job for job in dialogue.world.records.ledger.values() if job.kind is JobKind.FORWARD]) == 2 * (
        EXCHANGES + 1
    )
    for mailbox in (OWNER, SECOND):
        known = {m.message_id for m in dialogue.mailbox(mailbox)}
        foreign = {m.message_id for name in (JANE, OWNER, SECOND) for m in dialogue.mailbox(name)} - known
        assert not foreign.intersection(*[set(m.referenced) for m in dialogue.mailbox(mailbox) if m.ours])
