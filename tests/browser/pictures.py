"""Draws what owner and contact see into docs/pictures/: ``make pictures``. Everything shown is composed as the functions do."""

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.conversations.notices import NoticeKind
from email_handler.conversations.owners import Owners
from email_handler.mail.parsing import parse
from email_handler.outgoing.acknowledgement import compose_acknowledgement
from email_handler.outgoing.actions import conversation_actions, start_action
from email_handler.outgoing.digest import Digest, HeldEntry, compose_digest
from email_handler.outgoing.forward import compose_forward
from email_handler.outgoing.notice import compose_notice
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import mail, multipart
from tests.support.chromium import Chromium, chromium
from tests.support.compositions import PRIVATE, acknowledgement_context, forward_context, reply_context
from tests.support.previews import preview
from tests.support.records import conversation
from tests.support.records import forward as ledger_item
from tests.support.records import message as record

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
WIDE, PHONE = 640, 360
OWNERS = Owners(
    public_addresses=(reply_context().identity.public_address,),
    thread_domain="thread.example.com",
    forward_to=(PRIVATE,),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture: messages side by side, as a mail program shows them."""

    name: str
    messages: Sequence[bytes]
    width: int = PHONE
    dark: bool = False
    columns: int = 1
    scale: float = 1.5


def _forward(raw: bytes, **changes: Any) -> bytes:
    received = parse(raw)
    context = forward_context(received, **changes)
    actions = conversation_actions(context.conversation, context.identity.thread_domain)
    return compose_forward(received, replace(context, actions=actions)).raw


JANE = "Jane Doe <jane@customer.example>"
HELLO = """Hello,

our library would like to plant its courtyard this spring. Could you come by on Tuesday at ten and have a look?

Best,
Jane
"""
PLAN = mail(sender=JANE, subject="Garden plan for our library", text=HELLO)
SPAM = Reason(
    stage="patterns", rule="account-phishing", weight=3, detail="threatens to close an account or asks to confirm it"
)
LINKS = Reason(stage="patterns", rule="link-elsewhere", weight=2, detail="shows one web address and links to another")
BANK = mail(
    sender="Your Bank <security@bank.example>",
    subject="Please confirm your account",
    text="Dear customer,\n\nyour account will be closed tomorrow. Please answer with your account number.\n\nYour Bank",
)
RIGHT_TO_LEFT = """שלום,

הספרייה שלנו רוצה לשתול גינה בחצר באביב. האם תוכלו לבוא ביום שלישי בשעה 10:00?

תודה,
נועה
"""
REPORT = "report; report-type={}"


def _report(kind: str, text: str, **fields: str) -> bytes:
    part = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.replace("\n", "\r\n").encode()
    headers = [("From", fields["sender"]), ("Subject", fields["subject"]), ("Message-ID", "<r@mail.example>")]
    return multipart(REPORT.format(kind), part, headers=headers)


def warnings() -> Iterator[bytes]:
    """Yield a forward with each thing that the owner must know."""
    spam = {"outcome": Outcome.FLAG, "reasons": (SPAM, LINKS)}
    yield _forward(BANK, verified=False, **spam)
    yield _forward(BANK, reply_address="thief@evil.example", reply_differs=True)
    yield _forward(
        mail(sender=JANE, subject="Drawings of the courtyard", text="Here are all the drawings.\n\nJane",
             attachments=[("courtyard.zip", "application/zip", bytes(300_000)), ("film.mp4", "video/mp4", bytes(900_000))]),
        text_only=True, number=2,
    )  # fmt: skip
    yield _forward(
        mail(
            sender=JANE,
            subject="Garden plan",
            text="Bob and Carol are in as well.\n\nJane",
            cc="bob@other.example, carol@other.example",
        ),
        number=2,
    )
    away = "I am away until Monday and will reply then.\n\nJane"
    yield _forward(
        mail(sender=JANE, subject="Automatic reply: Garden plan", text=away, auto_submitted="auto-replied"),
        automatic="auto-submitted", number=3,
    )  # fmt: skip
    news = "Spring is here: plant now what you want to eat in summer.\n\nGarden news"
    yield _forward(
        mail(
            sender="Garden news <news@garden.example>",
            subject="Spring is here",
            text=news,
            list_id="<n.garden.example>",
        )
    )
    bounce = "Your message to jim@elsewhere.example could not be delivered: the mailbox is full."
    yield _forward(
        _report(
            "delivery-status", bounce, sender="Mail system <mailer-daemon@mail.example>", subject="Undelivered mail"
        ),
        automatic="report",
    )
    complaint = "This is a report about a message that one of our users marked as spam."
    yield _forward(
        _report(
            "feedback-report",
            complaint,
            sender="Abuse desk <feedback@mail.example>",
            subject="Complaint about a message",
        ),
        automatic="report",
    )


def _held() -> Iterator[HeldEntry]:
    yield HeldEntry.of(
        record(
            receipt="1hqyokr4uq94vtrt21f7o3kd0mvb1a9x5w8c2e6g", subject="Invoice question", sender="jane.q@legit.example", token="0123456789",
            sender_name="Jane Q.", snippet="Hi, the invoice that you sent last week has two lines that I do not understand.",
            reasons=(Reason(stage="patterns", rule="executable-content", weight=9, detail="contains a program, whatever its file name"),),
        ),
        releasable=True,
    )  # fmt: skip
    yield HeldEntry.of(
        record(
            receipt="7c2e6g1hqyokr4uq94vtrt21f7o3kd0mvb1a9x5w", subject="Get your website on the FIRST PAGE of Google", token="0123456789",
            sender="growth@ranking-boost.example", sender_name="SEO Experts Team", verified=False,
            snippet="We came across your website and found some errors that keep it from ranking.",
            reasons=(Reason(stage="patterns", rule="a", weight=4, detail="promises a place on Google's first page"), LINKS),
        ),
        releasable=True,
    )  # fmt: skip


def _reply() -> bytes:
    forwarded = parse(_forward(PLAN))
    quoted = (
        f'<div style="font:15px/22px Helvetica,Arial,sans-serif"><p style="margin-top:0">Dear Jane,</p>'
        "<p>Tuesday at ten suits me. I will bring soil samples.</p><p>Kind regards<br>Mary</p>"
        f'<p>On Mon, 2 Mar 2026 at 09:00, Jane Doe wrote:</p><blockquote style="margin:0 0 0 8px;border-left:1px solid #ccc;padding-left:8px">{forwarded.html}</blockquote></div>'
    )
    owners = mail(sender=f"Mary <{PRIVATE}>", subject="Re: Garden plan for our library", text="Dear Jane", html=quoted)
    threading = reply_context().threading
    subject = type(threading)(subject="Re: Garden plan for our library", in_reply_to="", references=())
    return compose_reply(parse(owners), reply_context(threading=subject)).raw


def pictures() -> Iterator[Picture]:
    """Yield every picture."""
    bounced = record(
        receipt="4uq94vtrt21f7o3kd0mvb1a9x5w8c2e6g1hqyokr",
        subject="Re: Garden plan for our library",
        reasons=(),
        feedback={"recipient": "jane@customer.example", "status": "5.1.1"},
    )
    known = conversation(owner_subject="Garden plan for our library", contact_name="Jane Doe")
    notice = compose_notice(
        NoticeKind.BOUNCED,
        owners=OWNERS,
        record=bounced,
        conversation=known,
        item=ledger_item(),
        actions=[start_action(OWNERS.thread_domain)],
    )
    plan = parse(PLAN)
    thanks = acknowledgement_context(
        threading=type(reply_context().threading)(subject="Re: " + plan.subject, in_reply_to="", references=())
    )
    yield Picture(name="forward", messages=[_forward(PLAN)], width=WIDE)
    yield Picture(name="forward-dark", messages=[_forward(PLAN, number=3)], dark=True)
    told = list(warnings())
    yield Picture(name="forward-warnings", messages=told[:4], columns=4, scale=1)
    yield Picture(name="forward-kinds", messages=told[4:], columns=4, scale=1)
    yield Picture(name="forward-warnings-dark", messages=told[:3], columns=3, dark=True, scale=1)
    rtl = mail(sender="נועה לוי <noa@library.example>", subject="גינה לספרייה", text=RIGHT_TO_LEFT)
    yield Picture(name="forward-right-to-left", messages=[_forward(rtl)])
    yield Picture(
        name="digest",
        messages=[
            compose_digest(
                Digest(count=len(list(_held())), entries=list(_held())), owners=OWNERS, item=ledger_item()
            ).raw
        ],
        width=WIDE,
    )
    yield Picture(name="notice", messages=[notice.raw])
    yield Picture(name="acknowledgement", messages=[compose_acknowledgement(thanks).raw], width=WIDE)
    yield Picture(name="reply", messages=[_reply()], width=WIDE)


_STYLE = """
:root{color-scheme:light dark}
body{margin:0;padding:20px;display:grid;gap:20px;align-items:start;background:#e9ecef;font:14px/20px Helvetica,Arial,sans-serif}
.mail{background:#fff;color:#202124;border-radius:10px;overflow:hidden;box-shadow:0 1px 4px #0003}
.top{padding:12px 14px;border-bottom:1px solid #e3e5e8} .from{font-weight:700} .more{color:#5f6368;overflow:hidden;white-space:nowrap;text-overflow:ellipsis}
iframe{display:block;border:0;width:100%}
@media (prefers-color-scheme:dark){body{background:#0c0d0e}.mail{background:#1b1c1e;color:#e8eaed}.top{border-color:#3c4043}.more{color:#a8adb3}}
"""
_FIT = """
(async () => {
  for (const one of document.querySelectorAll('iframe')) {
    while (one.contentDocument.readyState !== 'complete' || !one.contentDocument.body) await new Promise(requestAnimationFrame);
    one.style.height = '1px';
    one.style.height = one.contentDocument.documentElement.scrollHeight + 'px';
  }
  await new Promise(requestAnimationFrame);
  const box = document.body.getBoundingClientRect();
  return [Math.ceil(box.width), Math.ceil(box.height)];
})()
"""


def page(picture: Picture) -> str:
    """Return an HTML page of *picture*: each message as in a mail program, below who sent it, its subject and preview."""
    shown = "".join(
        f'<div class="mail"><div class="top"><div class="from" dir="auto">{html.escape(message.from_[0].name or message.from_[0].address)}</div>'
        f'<div dir="auto">{html.escape(message.subject)}</div><div class="more" dir="auto">{html.escape(preview(message.html))}</div></div>'
        f'<iframe srcdoc="{html.escape(message.html)}"></iframe></div>'
        for message in map(parse, picture.messages)
    )
    columns = f"grid-template-columns:repeat({picture.columns},{picture.width}px)"
    return f'<!DOCTYPE html><html><head><meta charset="utf-8"><style>{_STYLE}</style></head><body style="{columns};width:max-content">{shown}</body></html>'


def draw(browser: Chromium, picture: Picture) -> bytes:
    """Return *picture* as PNG."""
    browser.view(picture.columns * (picture.width + 20) + 20, 400, dark=picture.dark, mobile=False, scale=picture.scale)
    browser.show(page(picture))
    width, height = browser.run(_FIT)
    area = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    shot = browser.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=area)
    return base64.b64decode(shot["data"])


def main() -> None:
    """Draw every picture and print its size."""
    FOLDER.mkdir(exist_ok=True)
    with chromium() as browser:
        for picture in pictures():
            drawn = draw(browser, picture)
            (FOLDER / f"{picture.name}.png").write_bytes(drawn)
            print(f"{picture.name}.png: {len(drawn) // 1000} kB")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
