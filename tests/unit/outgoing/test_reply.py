"""The reply: what the owner wrote, from the public address, to the recipients of the record."""

import base64
from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.identifiers import EmailAddress
from email_handler.mail.new_text import LINES_LIMIT
from email_handler.mail.parsing import parse
from email_handler.outgoing.composed import Composed
from email_handler.outgoing.reply import compose_reply
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import CONTACT, PRIVATE, reply_context
from tests.support.look_alikes import LOOK_ALIKES
from tests.support.revealed import revealed
from tests.support.ses_rules import problems


def _reply(raw: bytes, **changes: object) -> Composed:
    return compose_reply(parse(raw), reply_context(**changes))


def test_only_our_own_headers_are_sent() -> None:
    composed = _reply(
        mail(
            sender=f"Real Name <{PRIVATE}>",
            reply_to=PRIVATE,
            cc="third@other.example",
            bcc="fourth@other.example",
            user_agent="Client",
            autocrypt=f"addr={PRIVATE}; keydata=AAAA",
            disposition_notification_to=PRIVATE,
        )
    )

    message = message_from_bytes(composed.raw)
    assert not composed.held
    assert {name.lower() for name in message.keys()} == {  # noqa: SIM118 - with repetitions
        "from", "to", "subject", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding",
    }  # fmt: skip
    assert message["From"] == '"Example Desk" <contact@example.com>'
    assert message["To"] == f'"Jane Doe" <{CONTACT}>'


def test_only_the_record_decides_the_recipients() -> None:
    everyone = (CONTACT, EmailAddress("bob@other.example"))

    message = message_from_bytes(_reply(mail(to="evil@elsewhere.example"), recipients=everyone).raw)

    assert "".join(message["To"].split("\r\n")) == f'"Jane Doe" <{CONTACT}>, bob@other.example'


@pytest.mark.parametrize("text", LOOK_ALIKES)
def test_a_message_with_look_alikes_is_unchanged(text: str) -> None:
    owners = parse(
        mail(text=f"See {text} today.\r\n", html=f"<p>{text}</p>", attachments=[("a.txt", "text/csv", text.encode())])
    )

    composed = compose_reply(owners, reply_context())

    sent = parse(composed.raw)
    assert not composed.held
    assert composed.places == ()
    assert (sent.text, sent.html) == (owners.text, owners.html)
    assert [a.payload for a in sent.attachments] == [text.encode()]


def test_attachments_keep_every_byte() -> None:
    payload = bytes(range(256)) * 10

    sent = parse(_reply(mail(attachments=[("Plan.bin", "application/octet-stream", payload)])).raw)

    assert [(a.name, a.payload) for a in sent.attachments] == [("Plan.bin", payload)]


@pytest.mark.parametrize("ending", [".pdf", ".tar.gz", ".v2.dwg", ".2026.dwg"])
def test_a_private_address_is_replaced_before_all_endings_of_a_files_name(ending: str) -> None:
    sent = parse(_reply(mail(attachments=[(PRIVATE + ending, "application/octet-stream", b"x")])).raw)

    assert [a.name for a in sent.attachments] == [reply_context().identity.public_address + ending]


def test_inline_images_stay_inline_under_our_own_id() -> None:
    raw = mail(text=None, html='<img src="cid:a@private.example">', inline=[("a@private.example", "image/png", b"x")])

    composed = _reply(raw)

    sent = parse(composed.raw)
    (image,) = sent.attachments
    assert image.inline
    assert f"cid:{image.part.content_id}" in sent.html
    assert image.part.content_id.endswith("@example.com")
    assert b"<a@private.example>" not in composed.raw


@pytest.mark.parametrize("kind", ["application/pgp-signature", "application/pkcs7-signature"])
def test_the_owners_signature_is_removed(kind: str) -> None:
    signature = entity([("Content-Type", kind), ("Content-Disposition", "attachment; filename=s")], PRIVATE.encode())
    text = entity([("Content-Type", "text/plain")], b"Signed.")
    raw = multipart("signed", text, signature, headers=[("From", f"<{PRIVATE}>")])

    composed = _reply(raw)

    sent = parse(composed.raw)
    assert not composed.held
    assert (sent.text, sent.attachments) == ("Signed.", ())


def test_signed_text_loses_its_armour_and_keeps_its_words() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nHello,\r\n- -- \r\nMe\r\n- - an item\r\n"
        "-----BEGIN PGP SIGNATURE-----\r\nVersion: X\r\n\r\niQEz\r\nAAAA\r\n=abcd\r\n-----END PGP SIGNATURE-----\r\n"
    )

    assert parse(_reply(mail(text=text)).raw).text == "Hello,\n-- \nMe\n- an item\n"


def test_unsigned_text_keeps_its_dashes() -> None:
    text = "- one\r\n- - two\r\n-----BEGIN PGP SIGNATURE----- is what it says\r\n"

    assert parse(_reply(mail(text=text)).raw).text == text.replace("\r\n", "\n")


def test_the_owners_key_is_kept_if_it_shows_only_the_public_address() -> None:
    def key(address: str) -> bytes:
        armour = base64.encodebytes(b"\x99\x01" * 30 + f"Me <{address}>".encode()).decode()
        return f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{armour}\n-----END PGP PUBLIC KEY BLOCK-----".encode()

    public, private = (
        _reply(mail(attachments=[("key.asc", "application/pgp-keys", key(address))]))
        for address in ("contact@example.com", PRIVATE)
    )

    assert [a.name for a in parse(public.raw).attachments] == ["key.asc"]
    assert parse(private.raw).attachments == ()
    assert not private.held


def test_flowed_text_stays_flowed() -> None:
    text = entity([("From", "a@b.example"), ("Content-Type", "text/plain; format=flowed")], b"one \r\ntwo\r\n")

    raw = _reply(text).raw

    assert b"format=flowed" in raw
    assert b"one \r\ntwo\r\n" in raw


def test_a_contacts_address_that_the_owner_writes_in_brackets_stays() -> None:
    text = "Ask Jane (jane at customer.example) about it.\r\n"

    assert parse(_reply(mail(text=text)).raw).text == text.replace("\r\n", "\n")


def test_a_hidden_term_is_removed_from_subject_and_text() -> None:
    composed = _reply(mail(text="It is RUMPELSTILTSKIN!\r\n"))

    assert parse(composed.raw).text == "It is !\n"
    assert [place.what for place in composed.places] == ["hidden term"]


def test_an_owner_who_writes_to_their_own_public_address_gets_a_reply() -> None:
    composed = _reply(mail(text=f"to {PRIVATE}\r\n"), contact=PRIVATE, recipients=(PRIVATE,))

    assert not composed.held


def test_a_reply_is_held_if_a_document_reveals_the_owner_and_the_place_is_listed() -> None:
    composed = _reply(mail(attachments=[("cv.pdf", "application/pdf", f"%PDF-1.4 ({PRIVATE})".encode())]))

    assert composed.held
    assert [(p.where, p.action, p.what) for p in composed.places] == [
        ("attachment 1 (application/pdf)", "held", "private address")
    ]


def test_an_empty_reply_stays_empty() -> None:
    assert parse(_reply(b"From: x@y.example\r\n\r\n").raw).text.strip() == ""


@given(st.binary(max_size=800))
def test_ses_accepts_the_reply_from_any_bytes(raw: bytes) -> None:
    assert problems(_reply(raw).raw) == []


@pytest.mark.parametrize("indent", range(30, 80))
def test_a_look_alike_cut_by_a_soft_break_is_not_held(indent: int) -> None:
    composed = _reply(mail(text="ä" + "x" * indent + " me@private.example.test and me@private.examples\r\n"))

    assert not composed.held
    assert composed.places == ()


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PGP SIGNATURE-----\r\n" + "\r\n" * (LINES_LIMIT + 1),
        "-----BEGIN PGP SIGNATURE-----\r\n" * 2_000,
        "-----BEGIN PGP SIGNED MESSAGE-----\r\n" + "a:\r\n" * 5_000 + "-----BEGIN PGP SIGNATURE-----\r\n",
        "[Only you see this:\r\n" * 2_000,
        "begin 644 x\r\n" * 2_000,
        "me@private.example" * 3_000,
        "@" * 50_000,
        "a" * 50_000 + "@private.example",
        "=\r\n" * 5_000,
        "> " * 15_000,
    ],
)
def test_a_term_behind_hostile_text_is_found(text: str) -> None:
    """Anything slower than linear would take much longer."""
    composed = _reply(mail(text=f"{text}\r\nRumpelstiltskin\r\n", html=f"<p>{text}</p><p>Rumpelstiltskin</p>"))

    assert composed.held or "rumpelstiltskin" not in revealed(composed.raw)
    assert problems(composed.raw) == []
