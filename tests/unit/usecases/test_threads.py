"""Ten exchanges with every client's habits on either side: one conversation, and one thread in each mailbox."""

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
    Answer,
    Mail,
    Written,
    named_ids_are_there,
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
"""What a server or a habit makes of an answer before it reaches us."""


@dataclass
class Talk:
    """A contact and an owner who write to each other, and what lies in their mailboxes."""

    world: World = field(default_factory=World)
    contact: Answer = CLIENTS["gmail_web"]
    owner: Answer = CLIENTS["gmail_web"]
    contacts: list[bytes] = field(default_factory=list)  # the contact's mailbox, sent copies included
    owners: dict[str, list[bytes]] = field(default_factory=dict)  # each of the owner's mailboxes
    ours: set[bytes] = field(default_factory=set)
    decisions: list[Decision] = field(default_factory=list)
    _number: int = 0

    def starts(self, subject: str = "A question", **fields: Any) -> list[Sent]:
        """Let the contact write for the first time."""
        raw = mail(subject=subject, message_id="<first@customer.example>", **fields)
        self.contacts.append(raw)
        return self._arrives(raw, PUBLIC)

    def contact_answers(self, change: Change = bytes, to: int = -1) -> list[Sent]:
        """Let the contact answer the mail at place *to* of those from us in their mailbox."""
        received = [one for one in self.contacts if one in self.ours][to]
        raw = change(self.contact(received, self._written(f"Jane Doe <{JANE}>", "customer.example")))
        self.contacts.append(raw)
        return self._arrives(raw, PUBLIC)

    def owner_answers(
        self,
        change: Change = bytes,
        to: int = -1,
        mailbox: str = OWNER,
        sender: str = "",
        verdicts: dict[str, str] | None = None,
    ) -> list[Sent]:
        """Let the owner answer the mail at place *to* of those from us in *mailbox*."""
        received = [one for one in self.owners[mailbox] if one in self.ours][to]
        raw = change(self.owner(received, self._written(f"The Owner <{sender or mailbox}>", "private.example")))
        self.owners[mailbox].append(raw)
        return self._arrives(raw, str(read(received)["From"].addresses[0].addr_spec), **(verdicts or {}))

    def _written(self, sender: str, host: str) -> Written:
        self._number += 1
        return Written(sender=sender, message_id=f"m{self._number}@{host}", text=f"This is number {self._number}.")

    def _arrives(self, raw: bytes, to: str, **verdicts: str) -> list[Sent]:
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

    def mailbox(self, whose: str) -> list[Mail]:
        raws = self.contacts if whose == JANE else self.owners[whose]
        return [Mail.of(raw, ours=raw in self.ours) for raw in raws]


def without(*names: str) -> Change:
    """Return the habit of leaving out header fields."""
    return lambda raw: b"\r\n".join(
        line
        for line in raw.split(b"\r\n")
        if not line.lower().startswith(tuple(f"{n.lower()}:".encode() for n in names))
    )


def renamed(front: str) -> Change:
    """Return the habit of putting *front* before the subject, whatever stands there."""
    return lambda raw: with_fields(raw, Subject=mail_subject(front + str(read(raw)["Subject"])))


def mail_subject(subject: str) -> str:
    written = mail(subject=subject).split(b"Subject: ")[1].split(b"\r\n")[0]
    return written.decode()


def assert_one_thread(talk: Talk, *whose: str) -> None:
    """Everything is one conversation, and one thread of ours in each mailbox, by every client's rules."""
    assert talk.conversation, "one conversation"
    for name in whose or (JANE, OWNER):
        mailbox = talk.mailbox(name)
        assert one_thread_in_gmail(mailbox), [(m.subject, m.named) for m in mailbox]
        assert one_thread_in_outlook(mailbox), [(m.subject, m.named) for m in mailbox]
        assert one_thread_in_apple_mail(mailbox), [m.named for m in mailbox]
        assert named_ids_are_there(mailbox), [(m.message_id, m.named) for m in mailbox]
        assert max(len(m.named) for m in mailbox if m.ours) <= MAX_LINKS + 1
    assert {decision.conversation for decision in talk.decisions} == {talk.conversation.id}
    assert {decision.outcome for decision in talk.decisions} <= {Outcome.DELIVER, Outcome.RELAY}


HABITS: dict[str, Change] = {
    "as it is": bytes,
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
PAIRS = [(one, NAMES[(place + step) % len(NAMES)]) for place, one in enumerate(NAMES) for step in (1, 4)]
"""Each client twice on either side, each time with another one opposite: all 36 pairs take a while and pass too."""


@pytest.mark.parametrize(("contact", "owner"), PAIRS)
def test_ten_exchanges_between_two_clients_are_one_conversation_and_one_thread(contact: str, owner: str) -> None:
    talk = Talk(contact=CLIENTS[contact], owner=CLIENTS[owner])
    talk.starts()
    for _ in range(EXCHANGES):
        (answer,) = talk.owner_answers()
        (forward,) = talk.contact_answers()

        assert answer.recipients == (JANE,)
        assert forward.recipients == (OWNER,)

    assert_one_thread(talk)
    assert (talk.conversation.received, talk.conversation.sent) == (EXCHANGES + 1, EXCHANGES)


@pytest.mark.parametrize(("habit", "client"), [(h, NAMES[place % len(NAMES)]) for place, h in enumerate(HABITS)])
@pytest.mark.parametrize("side", ["contact", "owner"])
def test_ten_exchanges_with_a_bad_habit_on_one_side_are_one_conversation_and_one_thread(
    side: str, client: str, habit: str
) -> None:
    talk = Talk(**{side: CLIENTS[client]})  # type: ignore[arg-type]  # either of the two fields of that type
    talk.starts()
    for _ in range(EXCHANGES):
        talk.owner_answers(HABITS[habit] if side == "owner" else bytes)
        talk.contact_answers(HABITS[habit] if side == "contact" else bytes)

    assert_one_thread(talk)


@pytest.mark.parametrize("client", CLIENTS)
def test_answers_to_an_old_mail_stay_in_the_thread_and_name_the_mail_they_answer(client: str) -> None:
    talk = Talk(contact=CLIENTS[client], owner=CLIENTS[client])
    talk.starts()
    for number in range(EXCHANGES):
        back = -1 if number < 3 else -3
        talk.owner_answers(to=back)
        talk.contact_answers(to=back)

    assert_one_thread(talk)
    answered = [m for m in talk.mailbox(JANE) if m.ours][-1]
    forwards = [m for m in talk.mailbox(OWNER) if m.ours]
    assert answered.named[0] != [m for m in talk.mailbox(JANE) if not m.ours][-2].message_id
    assert forwards[-1].named[0] != [m for m in talk.mailbox(OWNER) if not m.ours][-1].message_id


@pytest.mark.parametrize("field", ["In-Reply-To", "References"])
def test_an_answer_to_an_old_mail_goes_where_that_mail_said_by_either_field(field: str) -> None:
    talk = Talk(owner=CLIENTS["apple_mail"])
    talk.starts()
    talk.owner_answers()
    talk.contact_answers(lambda raw: with_fields(raw, Reply_To="sales@customer.example"))

    (old,) = talk.owner_answers(without(field), to=0)
    (new,) = talk.owner_answers(without(field), to=-1)
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
def test_whatever_the_first_subject_was_all_that_follows_is_one_thread(subject: str) -> None:
    talk = Talk()
    talk.starts(subject)
    for _ in range(3):
        talk.owner_answers()
        talk.contact_answers()

    assert_one_thread(talk)


def test_a_subject_that_a_person_changes_is_everybodys_from_then_on() -> None:
    talk = Talk()
    talk.starts()
    talk.owner_answers(lambda raw: with_fields(raw, Subject="Re: The price list"))
    talk.contact_answers(lambda raw: with_fields(raw, Subject="Re: The new price list"))
    talk.owner_answers()

    subjects = [m.subject for m in talk.mailbox(JANE) if m.ours], [m.subject for m in talk.mailbox(OWNER) if m.ours]
    assert subjects[0][-2:] == ["Re: The price list", "Re: The new price list"]
    assert subjects[1] == ["A question", "Re: The new price list"]
    assert len({d.conversation for d in talk.decisions}) == 1


def test_a_label_of_the_owners_mail_system_never_reaches_the_contact() -> None:
    talk = Talk()
    talk.starts()
    talk.owner_answers(renamed("Re: [Internal - scanned] "))

    assert [m.subject for m in talk.mailbox(JANE) if m.ours][-1] == "Re: A question"


# The contact's side cannot move the owner's answers.


def steadfast(talk: Talk) -> None:
    """Assert that an answer to the latest forward, and one that names nothing, go to Jane and to nobody else."""
    for change in (bytes, without("In-Reply-To", "References")):
        (left,) = talk.owner_answers(change)
        assert left.recipients == (JANE,)
    conversation = next(c for c in talk.world.records.conversations.values() if c.contact == JANE)
    assert conversation.reply_address == JANE
    assert conversation.subject == conversation.owner_subject == "A question"


@pytest.fixture
def talk() -> Talk:
    """Return a talk of two exchanges."""
    talk = Talk()
    talk.starts()
    for _ in range(2):
        talk.owner_answers()
        talk.contact_answers()
    return talk


def thread(talk: Talk) -> str:
    conversation = next(c for c in talk.world.records.conversations.values() if c.contact == JANE)
    return f"{conversation.id}.{conversation.token}@{THREAD}"


@pytest.mark.parametrize("to", ["public", "thread"])
def test_a_contacts_unverified_mail_does_not_move_the_owners_answers(talk: Talk, to: str) -> None:
    raw = mail(
        subject="Re: A bill to pay",
        message_id="<f@evil.example>",
        in_reply_to="<first@customer.example>",
        reply_to="mallory@evil.example",
        cc="mallory@evil.example",
    )
    talk.world.arrive(raw, to=PUBLIC if to == "public" else thread(talk), **UNVERIFIED)
    left = talk.world.run()

    assert [one.recipients for one in left] == [(OWNER,)]
    steadfast(talk)
    conversation = next(c for c in talk.world.records.conversations.values() if c.contact == JANE)
    assert "mallory@evil.example" not in conversation.participants


@pytest.mark.parametrize(
    "sender", ["Jane Doe <jane@customer.example>", "Jane Doe <mallory@evil.example>", "mallory@customer.example"]
)
def test_forged_ids_and_a_forged_subject_start_a_conversation_of_their_own(talk: Talk, sender: str) -> None:
    ours = [m.message_id for m in talk.mailbox(JANE) if m.ours]
    verdicts = UNVERIFIED if JANE in sender else {}
    before = {d.conversation for d in talk.decisions}
    decision = talk.world.arrive(
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
    talk.world.run()

    assert decision.conversation not in before
    steadfast(talk)


def test_a_repeated_message_id_of_the_owners_or_ours_moves_nothing(talk: Talk) -> None:
    theirs = [m.message_id for name in (JANE, OWNER) for m in talk.mailbox(name)]
    for number, taken in enumerate(theirs):
        talk.world.arrive(
            mail(sender="mallory@evil.example", message_id=f"<{taken}>", subject=f"n{number}", text=f"number {number}")
        )
    talk.world.run()

    steadfast(talk)
    talk.contact_answers()
    assert talk.decisions[-1].conversation == talk.decisions[0].conversation


def test_a_contacts_own_verified_reply_to_is_followed_and_the_banner_warns() -> None:
    talk = Talk()
    talk.starts(reply_to="jane@elsewhere.example")
    (left,) = talk.owner_answers()

    assert left.recipients == ("jane@elsewhere.example",)
    assert talk.conversation.reply_differs


@pytest.mark.parametrize("reply_to", [OWNER, PUBLIC, f"x@{THREAD}", "not an address", f"contact+x@{PUBLIC[8:]}"])
def test_a_reply_to_that_names_us_or_the_owner_or_nobody_is_not_followed(reply_to: str) -> None:
    talk = Talk()
    talk.starts(reply_to=reply_to)
    (left,) = talk.owner_answers()

    assert left.recipients == (JANE,)


def test_a_machines_mail_does_not_move_the_owners_answers(talk: Talk) -> None:
    talk.contact_answers(
        lambda raw: with_fields(
            raw, Auto_Submitted="auto-replied", Reply_To="desk@elsewhere.example", Subject="Out of office"
        )
    )

    steadfast(talk)


# Who is the owner.

RESULTS = "amazonses.com; spf={spf}; dkim={dkim} header.i=@{signer}; dmarc={dmarc} header.from=private.example;"


def claims(talk: Talk, verdicts: dict[str, str], change: Change = bytes) -> tuple[Outcome, list[tuple[str, ...]]]:
    """Let somebody answer as the owner; return what was decided and to whom mail went outside."""
    left = talk.owner_answers(change, verdicts=verdicts)
    return talk.decisions[-1].outcome, [one.recipients for one in left if OWNER not in one.recipients]


REFUSED: tuple[Outcome, list[tuple[str, ...]]] = (Outcome.HOLD, [])


def on_top(*fields: tuple[str, str]) -> Change:
    return lambda raw: b"".join(f"{name}: {value}\r\n".encode() for name, value in fields) + raw


def test_two_from_fields_are_not_the_owner(talk: Talk) -> None:
    assert claims(talk, {}, on_top(("From", "mallory@evil.example"))) == REFUSED


def test_two_addresses_in_one_from_are_not_the_owner(talk: Talk) -> None:
    for both in (f"{OWNER}, mallory@evil.example", f"mallory@evil.example, {OWNER}"):
        assert claims(talk, {}, lambda raw, both=both: with_fields(raw, From=both)) == REFUSED  # type: ignore[misc]


def test_a_foreign_signature_under_gray_is_not_the_owner(talk: Talk) -> None:
    results = RESULTS.format(spf="none", dkim="pass", signer="evil.example", dmarc="none")

    assert claims(talk, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results))) == REFUSED


def test_the_owners_own_signature_under_gray_is_the_owner(talk: Talk) -> None:
    results = RESULTS.format(spf="none", dkim="pass", signer="private.example", dmarc="none")

    assert claims(talk, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results))) == (Outcome.RELAY, [(JANE,)])


def test_a_subdomains_signature_proves_its_organisation_and_a_look_alike_nothing(talk: Talk) -> None:
    for signer, outcome in (("mail.private.example", Outcome.RELAY), ("private.example.evil.test", Outcome.HOLD)):
        results = RESULTS.format(spf="none", dkim="pass", signer=signer, dmarc="none")
        decided, _ = claims(talk, {"dmarc": "GRAY"}, on_top(("Authentication-Results", results)))
        assert decided is outcome


def test_an_owner_of_a_subdomain_is_not_the_owner(talk: Talk) -> None:
    change: Change = lambda raw: with_fields(raw, From="owner@mail.private.example")  # noqa: E731 - a value, named

    assert claims(talk, {}, change) == REFUSED


def test_a_second_or_forged_authentication_results_proves_nothing(talk: Talk) -> None:
    good = RESULTS.format(spf="pass", dkim="pass", signer="private.example", dmarc="pass")
    bad = RESULTS.format(spf="none", dkim="none", signer="private.example", dmarc="none")
    verdicts = {"dmarc": "GRAY", "dkim": "GRAY", "spf": "GRAY"}

    assert claims(talk, verdicts, on_top(("Authentication-Results", bad), ("Authentication-Results", good))) == REFUSED
    other = good.replace("amazonses.com", "mx.evil.example")
    assert claims(talk, verdicts, on_top(("Authentication-Results", other))) == REFUSED
    received = ("Received", "from a by b; Mon, 02 Mar 2026 09:00:00 +0000")
    assert claims(talk, verdicts, on_top(received, received, ("Authentication-Results", good))) == REFUSED


def test_dmarc_fail_is_not_the_owner_whatever_else_passed(talk: Talk) -> None:
    results = RESULTS.format(spf="pass", dkim="pass", signer="private.example", dmarc="fail")

    assert claims(talk, {"dmarc": "FAIL"}, on_top(("Authentication-Results", results))) == REFUSED


def test_the_owners_answer_to_all_reaches_both_rules_and_the_contact_once(talk: Talk) -> None:
    received = talk.owners[OWNER][-1]
    sender = str(read(received)["From"].addresses[0].addr_spec)
    raw = with_fields(
        CLIENTS["gmail_web"](received, Written(sender=OWNER, message_id="all@private.example", text="To all.")),
        Cc=PUBLIC,
    )
    for first, second in ((PUBLIC, sender), (sender, PUBLIC)):
        copy = raw.replace(b"all@private", first[:5].encode() + b"@private")
        talk.world.arrive(copy, to=first, receipt=f"all-{first[:3]}")
        talk.world.arrive(copy, to=second, receipt=f"all-{first[:3]}")

        assert [one.recipients for one in talk.world.run()] == [(JANE,)]


def test_a_routed_mailboxs_answer_to_all_that_names_no_id_is_not_forwarded_to_itself() -> None:
    talk = Talk()
    talk.world.route(f'[[route]]\naddress = "{PUBLIC}"\nto = "{SECOND}"\n'.encode())
    talk.starts()
    received = talk.owners[SECOND][-1]
    raw = without("In-Reply-To", "References")(
        with_fields(
            CLIENTS["gmail_web"](received, Written(sender=SECOND, message_id="all@private.example", text="Hi.")),
            Cc=PUBLIC,
        )
    )
    decision = talk.world.arrive(raw, to=PUBLIC)

    assert decision.outcome is Outcome.RECORD
    assert talk.world.run() == []


def test_an_answer_from_an_alias_is_the_owners_and_keeps_the_thread() -> None:
    alias = EmailAddress("me@alias.example")
    talk = Talk()
    object.__setattr__(talk.world.owners, "owner_aliases", (alias,))
    talk.starts()
    for _ in range(3):
        (left,) = talk.owner_answers(sender=alias)
        assert alias.encode() not in left.raw
        talk.contact_answers()

    assert_one_thread(talk)


def test_two_mailboxes_of_the_owner_that_answer_in_turn_each_keep_their_thread() -> None:
    talk = Talk()
    talk.world.owners = talk.world.owners.__class__(
        public_addresses=(PUBLIC,), thread_domain=THREAD, forward_to=(OWNER, SECOND)
    )
    talk.starts()
    for number in range(EXCHANGES):
        talk.owner_answers(mailbox=(OWNER, SECOND)[number % 2])
        talk.contact_answers()

    assert_one_thread(talk, JANE, OWNER, SECOND)
    assert len([job for job in talk.world.records.ledger.values() if job.kind is JobKind.FORWARD]) == 2 * (
        EXCHANGES + 1
    )
    for mailbox in (OWNER, SECOND):
        known = {m.message_id for m in talk.mailbox(mailbox)}
        foreign = {m.message_id for name in (JANE, OWNER, SECOND) for m in talk.mailbox(name)} - known
        assert not foreign.intersection(*[set(m.named) for m in talk.mailbox(mailbox) if m.ours])
