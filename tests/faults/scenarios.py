"""The scenarios of the fault matrix: what arrives, and what must become of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cloud.ses import Sent
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from tests.faults.rig import COLLEAGUE, OWNER, THREAD, Fault, World
from tests.faults.seen import digest, letter
from tests.faults.truths import Truth
from tests.support.builders import mail

JANE = "jane@customer.example"
NEVER_SENT = "<before@customer.example>"
LIST = ("list.csv", "text/csv", b"a,b\r\n1,2\r\n")

FIRST = Truth(
    name="first",
    function="inbound",
    sender=JANE,
    to=OWNER,
    message_id="first@customer.example",
    text="Do you have this in green?\r\nThe list is attached.",
    ends=frozenset({Outcome.DELIVER}),
    files=((LIST[0], digest(LIST[2])),),
    subject="A question",
    thread="jane",
    acknowledged=True,
)
SECOND = replace(
    FIRST,
    name="second",
    subject="Another question",
    message_id="m2@customer.example",
    text="And one more thing.",
    files=(),
    after=FIRST.name,
)
REPLY = Truth(
    name="reply",
    function="reply",
    sender=OWNER,
    to=JANE,
    message_id="o1@private.example",
    text="Yes, we do.",
    ends=frozenset({Outcome.RELAY}),
    subject="A question",
    thread="jane",
    answers=FIRST.message_id,
)
START = replace(
    REPLY,
    name="start",
    message_id="o2@private.example",
    text="May I?",
    subject="An offer",
    thread="o",
    answers="",
    starts=True,
)
FOR_TWO = replace(FIRST, also=(COLLEAGUE,))
WITH_COPY = replace(REPLY, also=(COLLEAGUE,))
FORGED = replace(REPLY, name="forged", to=OWNER, subject="", ends=frozenset({Outcome.HOLD}), notice=True)
SPAM = Truth(
    name="spam",
    function="inbound",
    sender="x@spam.example",
    to=OWNER,
    message_id="s@spam.example",
    text="Everything must go.",
    ends=frozenset({Outcome.HOLD}),
)
RELEASED = replace(SPAM, ends=frozenset({Outcome.DELIVER}), thread="x", acknowledged=True, released=True)
NEWSLETTER = Truth(
    name="newsletter",
    function="inbound",
    sender="news@shop.example",
    to=OWNER,
    message_id="n@shop.example",
    text="Our shop opens on Sunday.",
    ends=frozenset({Outcome.DELIVER}),
    subject="News",
    thread="news",
)
MISSED = Truth(
    name="missed",
    function="inbound",
    sender="kim@customer.example",
    to=OWNER,
    message_id="missed@customer.example",
    text="Is anybody there?",
    ends=frozenset({Outcome.DELIVER}),
    thread="kim",
)

LATE = replace(MISSED, name="late", message_id="late@customer.example", acknowledged=True)


def first_contact(world: World) -> None:
    """Send a first message with an attachment: inbound, both senders, attachment. It names one that never came."""
    raw = _mail(FIRST, "Jane Doe", subject="A question", attachments=[LIST], references=NEVER_SENT)
    world.invoke(*world.store(FIRST, raw))
    world.settle()


def first_contact_for_two(world: World) -> None:
    """Send the first message to an installation with two mailboxes: each gets a forward."""
    world.mailboxes = (OWNER, COLLEAGUE)
    world.invoke(*world.store(FOR_TWO, _mail(FOR_TWO, "Jane Doe", subject="A question", attachments=[LIST])))
    world.settle()


def owner_reply_with_copy(world: World) -> None:
    """Let one of two mailboxes reply: once that has left, forward-sender sends the other a copy."""
    _to_thread(world, WITH_COPY)


def follow_up(world: World) -> None:
    """Let the contact write again below what never came: inbound joins the conversation, no acknowledgement."""
    raw = _mail(SECOND, "Jane Doe", subject="Another question", references=NEVER_SENT)
    world.invoke(*world.store(SECOND, raw))
    world.settle()


def second_copy(world: World) -> None:
    """Let SES receive the first message once more, by another way: it is recorded, and nothing else."""
    world.invoke(*world.store(FIRST, _mail(FIRST, "Jane Doe", subject="A question", attachments=[LIST])))
    world.settle()


def newsletter(world: World) -> None:
    """Send a machine's first message: it is forwarded, and not acknowledged."""
    raw = _mail(NEWSLETTER, "The Shop", subject="News", list_unsubscribe="<https://shop.example/u>", precedence="bulk")
    world.invoke(*world.store(NEWSLETTER, raw))
    world.settle()


def owner_reply(world: World) -> None:
    """Let the owner reply: reply, reply-sender."""
    _to_thread(world, REPLY)


def owner_starts(world: World) -> None:
    """Let the owner write first: reply, reply-sender, and forward-sender for one line to the owner."""
    to = f"to.{JANE.replace('@', '=')}@{THREAD}"
    world.invoke(*world.store(START, _mail(START, "The Owner", to=to, subject="An offer"), to=to))
    world.settle()


def forged_reply(world: World) -> None:
    """Forge the owner: reply holds it, forward-sender sends the notice."""
    _to_thread(world, FORGED, verdicts="dmarc=GRAY spf=GRAY dkim=GRAY")


def spam(world: World) -> None:
    """Send a message that SES reports as spam: it is held, and nothing is sent."""
    world.invoke(*world.store(SPAM, _mail(SPAM, "Everything"), verdicts="spam=FAIL"))
    world.settle()


def release(world: World) -> None:
    """Release the held message: it is forwarded and acknowledged once."""
    (arrival,) = world.arrivals
    world.arrivals[arrival] = RELEASED
    world.invoke("inbound", {"operator": {"do": "release", "receipt": arrival[0]}})
    world.settle()


def bounced_acknowledgement(world: World) -> None:
    """Report by an event of SES that the acknowledgement bounced: the contact is unreachable."""
    _bounce(world, JobKind.ACKNOWLEDGEMENT)


def bounced_reply(world: World) -> None:
    """Report by an event of SES that the reply bounced: the owner gets a notice."""
    _bounce(world, JobKind.REPLY)


def reconciliation(world: World) -> None:
    """Let the reconciler find a message whose event never arrived, too late for an acknowledgement."""
    world.store(MISSED, _mail(MISSED, "Kim"))
    world.reconcile(25)


def late_event(world: World) -> None:
    """Let the hourly pass find a message whose event never arrived, in time for an acknowledgement."""
    world.store(LATE, _mail(LATE, "Kim"))
    world.reconcile(2, "hourly")


def unconfirmed_acknowledgement(world: World) -> None:
    """Lose SES's response to the acknowledgement of a first message: it ends as unknown."""
    world.faults = [Fault(function="ack_sender", call="sesv2.SendEmail", kind="timeout after")]
    first_contact(world)


def delivered_acknowledgement(world: World) -> None:
    """Report by an event of SES that it was delivered after all: it is recorded as sent, and none is sent again."""
    sent = _sent(world, JobKind.ACKNOWLEDGEMENT)
    delivery = {"recipients": list(sent.recipients)}
    detail = {"eventType": "Delivery", "mail": _tagged(sent), "delivery": delivery}
    world.invoke("inbound", {"source": "aws.ses", "detail-type": "Email Delivered", "detail": detail})
    world.settle()


def waiting_bounce(world: World) -> None:
    """Report by an event of SES that it bounced: that waits until it is recorded as sent, and the hourly pass."""
    _bounce(world, JobKind.ACKNOWLEDGEMENT)
    world.reconcile(2, "hourly")


def _mail(truth: Truth, name: str, **fields: Any) -> bytes:
    sender = f"{name} <{truth.sender}>"
    return mail(sender=sender, message_id=f"<{truth.message_id}>", text=truth.text, **fields)


def _to_thread(world: World, truth: Truth, verdicts: str = "") -> None:
    thread = world.thread_address()
    raw = _mail(truth, "The Owner", to=thread, subject="Re: A question")
    world.invoke(*world.store(truth, raw, to=thread, verdicts=verdicts))
    world.settle()


def _bounce(world: World, kind: JobKind) -> None:
    sent = _sent(world, kind)
    world.bounced.append(sent.ses_id)
    failed = [{"emailAddress": sent.recipients[0], "status": "5.1.1"}]
    detail = {
        "eventType": "Bounce",
        "mail": _tagged(sent),
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": failed},
    }
    world.invoke("inbound", {"source": "aws.ses", "detail-type": "Email Bounced", "detail": detail})
    world.settle()


def _sent(world: World, kind: JobKind) -> Sent:
    return next(one for one in world.sent() if letter(one).kind is kind)


def _tagged(sent: Sent) -> dict[str, Any]:
    """Return how SES's events name a message: by its id and the tags that it was sent with."""
    return {"messageId": sent.ses_id, "tags": {name: [value] for name, value in sent.tags.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The steps that run before without faults, and the step whose calls fail."""

    before: tuple[Callable[[World], None], ...] = ()
    act: Callable[[World], None]

    @property
    def name(self) -> str:
        """Return what happens in it."""
        return self.act.__name__.replace("_", " ")


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(act=first_contact),
        Scenario(before=(first_contact,), act=follow_up),
        Scenario(before=(first_contact,), act=second_copy),
        Scenario(act=newsletter),
        Scenario(before=(first_contact,), act=owner_reply),
        Scenario(act=first_contact_for_two),
        Scenario(before=(first_contact_for_two,), act=owner_reply_with_copy),
        Scenario(before=(first_contact,), act=forged_reply),
        Scenario(act=owner_starts),
        Scenario(act=spam),
        Scenario(before=(spam,), act=release),
        Scenario(before=(first_contact,), act=bounced_acknowledgement),
        Scenario(before=(first_contact, owner_reply), act=bounced_reply),
        Scenario(act=reconciliation),
        Scenario(act=late_event),
        Scenario(before=(unconfirmed_acknowledgement,), act=delivered_acknowledgement),
        Scenario(before=(unconfirmed_acknowledgement,), act=waiting_bounce),
    )
}
