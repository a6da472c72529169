"""Draws the console for the README: ``make pictures``. What it shows has come in and gone out as in the functions."""

import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from email_handler.conversations.records import Conversation, Status
from email_handler.identifiers import ConversationId, FunctionName, ReceiptId
from email_handler.ports import Extracted
from email_handler.usecases.attachments import store_attachments
from tests.support.builders import File, mail
from tests.support.console import browsing, console_of
from tests.support.pdfs import page as pdf_page
from tests.support.world import OWNER, THREAD, World

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
OFFER = "We are a leading SEO company: guaranteed first page ranking, 500 backlinks, risk free. Act now!\r\n"


class _Pdf:
    """Extracts the text of every file as that of a plan."""

    def extract(self, payload: bytes, charset: str, seconds: float) -> Extracted:
        del payload, charset, seconds
        return Extracted(text="Beds, paths", detected_type="application/pdf", status="extracted")


@dataclass
class _Story:
    """Who wrote what, and when."""

    world: World

    def write(self, name: str, address: str, subject: str, text: str, at: datetime, **fields: Any) -> Conversation:
        """Let somebody write, and return the conversation."""
        receipt = self._arrive(name, address, subject, text, at, **fields)
        self._finish(receipt, "inbound")
        record = self.world.records.message(receipt, "inbound")
        assert record
        return self.world.records.conversations[ConversationId(record.conversation)]

    def hold(self, name: str, address: str, subject: str, text: str, at: datetime) -> None:
        """Let somebody write what is held."""
        self._arrive(name, address, subject, text, at)

    def reply(self, to: Conversation, text: str, at: datetime) -> None:
        """Let the owner reply."""
        self.world.now = at
        receipt = ReceiptId(f"reply-{at:%d%H%M}")
        address = f"{to.id}.{to.token}@{THREAD}"
        raw = mail(
            sender=OWNER, to=address, subject=f"Re: {to.subject}", text=text, message_id=f"<{receipt}@private.example>"
        )
        self.world.arrive(raw, receipt=receipt, to=address)
        self._finish(receipt, "reply")

    def _arrive(
        self, name: str, address: str, subject: str, text: str, at: datetime, *, attachments: tuple[File, ...] = (),
        verified: bool = True, after: str = "",
    ) -> ReceiptId:  # fmt: skip
        self.world.now = at
        receipt = ReceiptId(f"{address.partition('@')[0]}-{at:%d%H%M}")
        known = {"in_reply_to": after, "references": after} if after else {}
        raw = mail(
            sender=f"{name} <{address}>", subject=subject, text=text, attachments=attachments,
            message_id=f"<{receipt}@{address.partition('@')[2]}>", **known,  # type: ignore[arg-type]
        )  # fmt: skip
        verdicts = {} if verified else {"dmarc": "GRAY", "dkim": "GRAY", "spf": "GRAY"}
        self.world.arrive(raw, receipt=receipt, **verdicts)
        return receipt

    def _finish(self, receipt: ReceiptId, function: FunctionName) -> None:
        world = self.world
        store_attachments(receipt, function, archive=world.archive, records=world.records, extractor=_Pdf(), seconds=lambda: 0.0)  # fmt: skip
        world.run()


def story() -> World:
    """Return a world in which a few people have written."""
    world = World()
    told = _Story(world)
    now = datetime(2026, 11, 27, 14, 5, tzinfo=UTC)
    monday = now - timedelta(days=2)
    jane = told.write(
        "Jane Doe", "jane@customer.example", "Garden plan for our library",
        "Hello,\r\n\r\nour library would like to plant its courtyard this spring. I have attached what we have in mind. "
        "Could you come by and tell us what is possible?\r\n\r\nMany thanks\r\nJane\r\n",
        monday, attachments=(("garden-plan.pdf", "application/pdf", pdf_page(b"(Beds, paths) Tj")),),
    )  # fmt: skip
    told.reply(
        jane,
        "Dear Jane,\r\n\r\nTuesday at ten would suit me. Shall I bring soil samples?\r\n",
        monday + timedelta(minutes=12),
    )
    told.write(
        "Jane Doe", "jane@customer.example", "Re: Garden plan for our library",
        "Tuesday at ten is perfect. Please ring at the side door, https://library.example/plan shows where.\r\n",
        monday + timedelta(hours=3), after=f"<jane-{monday:%d%H%M}@customer.example>",
    )  # fmt: skip
    told.write("Kim Lee", "kim@farm.example", "Quote for a fence",
               "Could you tell me what 20 m would cost, delivered in March?\r\n", now - timedelta(hours=5))  # fmt: skip
    told.write("Your Bank", "service@bank.example", "Please confirm your account",
               "Dear customer, please answer with your account number.\r\n", now - timedelta(hours=1), verified=False)  # fmt: skip
    told.hold("SEO Experts", "seo@rank.example", "First page ranking guaranteed!!", OFFER, now - timedelta(hours=2))
    bob = told.write(
        "Bob Lee", "bob@builder.example", "Invoice 7", "Attached is what you owe us.\r\n", now - timedelta(days=1)
    )
    world.records.conversations[bob.id] = replace(bob, status=Status.SNOOZED)
    world.now = now
    return world


def main() -> None:
    """Draw both pictures."""
    world = story()
    jane = next(one for one in world.records.conversations.values() if one.contact_name == "Jane Doe")
    with (
        tempfile.TemporaryDirectory() as folder,
        console_of(world, Path(folder), emulated=False) as console,
        browsing() as browser,
    ):
        console.desk.held()
        context = browser.new_context(device_scale_factor=1.5, timezone_id="Europe/Berlin", locale="en-GB")
        page = context.new_page()
        page.goto(console.session.link)
        for name, path, dark, width, height in (
            ("console", f"/conversations/{jane.id}", False, 1180, 760),
            ("console-phone-dark", "/held", True, 390, 700),
        ):
            page.emulate_media(color_scheme="dark" if dark else "light")
            page.set_viewport_size({"width": width, "height": height})
            page.goto(console.at + path)
            page.screenshot(path=FOLDER / f"{name}.png")
            print(f"{name}.png")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
