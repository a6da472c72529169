"""Whatever an invitation looks like, the owner's response to it comes to us."""

import base64
import functools
import gzip
import lzma
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from email_handler.mail.calendar import with_parties
from email_handler.mail.message import Attachment
from email_handler.mail.parsing import parse
from email_handler.outgoing import invitations
from email_handler.outgoing.forward import compose_forward
from tests.support.builders import entity, mail, multipart
from tests.support.compositions import THREAD, forward_context
from tests.support.hostile_documents import tarred, zipped

WARNING = "Do not respond to it from there"
US = "contact@example.com"
CLOSED = "application/octet-stream"


def ics(*properties: str, method: str = "METHOD:REQUEST\r\n") -> str:
    event = "\r\n".join(properties)
    return f"BEGIN:VCALENDAR\r\n{method}BEGIN:VEVENT\r\nSUMMARY:x\r\n{event}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"


INVITATION = ics(
    'ORGANIZER;CN="Doe, Jane";SENT-BY="mailto:desk@customer.example":MAILTO:jane@customer.exam\r\n ple',
    "ATTENDEE;CN=Bob:mailto:bob@other.example",
)
RESPONSE = ics(
    f"ORGANIZER:mailto:{US}",
    "ATTENDEE;PARTSTAT=ACCEPTED:mailto:jane@customer.example",
    method="METHOD:REPLY\r\n",
)


def _forwarded(raw: bytes, **changes: object) -> bytes:
    message = parse(raw)
    return compose_forward(message, forward_context(message, **changes)).raw


def _files(raw: bytes) -> tuple[Attachment, ...]:
    return parse(raw).attachments


def _forwarded_calendar(
    calendar: str | bytes, kind: str = "text/calendar", name: str = "x.ics", **changes: object
) -> str:
    payload = calendar.encode() if isinstance(calendar, str) else calendar
    (file,) = _files(_forwarded(mail(attachments=[(name, kind, payload)]), **changes))
    return file.payload.decode()


def _addresses(calendar: str) -> set[str]:
    """Return every address that a lenient reader finds in a property that is no text: unfolded, breaks of any kind."""
    lines = re.sub(r"\r?\n[ \t]", "", calendar).splitlines()
    lines = [line for line in lines if not line.startswith("SUMMARY:")]
    return {found.lower() for line in lines for found in re.findall(r"[\w.+-]+@[\w.-]+", line)}


HOSTILE = {
    "as it should be": INVITATION,
    "an attendee's response that is none": INVITATION.replace("REQUEST", "REPLY"),
    "a counter that is none": INVITATION.replace("REQUEST", "COUNTER"),
    "a refresh that is none": INVITATION.replace("REQUEST", "REFRESH"),
    "published": INVITATION.replace("REQUEST", "PUBLISH"),
    "cancelled": INVITATION.replace("REQUEST", "CANCEL"),
    "an unknown method": INVITATION.replace("REQUEST", "X-OTHER"),
    "no method": INVITATION.replace("METHOD:REQUEST\r\n", ""),
    "two methods": INVITATION.replace("METHOD:REQUEST", "METHOD:REPLY\r\nMETHOD:REQUEST"),
    "a second method at the end": RESPONSE + INVITATION,
    "a folded name": INVITATION.replace("ORGANIZER", "ORGA\r\n NIZER").replace("ATTENDEE", "ATT\r\n\tENDEE"),
    "names in lower case": INVITATION.replace("ORGANIZER", "organizer").replace("ATTENDEE", "attendee"),
    "a space after the name": INVITATION.replace("ORGANIZER", "ORGANIZER ").replace("ATTENDEE", "ATTENDEE "),
    "a group": INVITATION.replace("ORGANIZER", "item1.ORGANIZER").replace("ATTENDEE", "item2.ATTENDEE"),
    "line feeds alone": INVITATION.replace("\r\n", "\n"),
    "carriage returns alone": INVITATION.replace("\r\n", "\r"),
    "a line separator": INVITATION.replace("SUMMARY:x\r\n", "SUMMARY:x\u2028"),
    "a vertical tab": INVITATION.replace("SUMMARY:x\r\n", "SUMMARY:x\v"),
    "an unclosed quote": INVITATION.replace('"Doe, Jane"', '"Doe'),
    "a colon in a quoted name": INVITATION.replace("Doe, Jane", "x:mailto:contact@example.com"),
    "no scheme": INVITATION.replace("MAILTO:", "").replace("mailto:", ""),
    "another scheme": INVITATION.replace("MAILTO:", "https://").replace("mailto:bob", "sip:bob"),
    "two organizers": INVITATION.replace("ATTENDEE", "ORGANIZER:mailto:eve@other.example\r\nATTENDEE"),
    "a response with a further organizer": RESPONSE.replace("END:VEVENT", "ORGANIZER:mailto:e@e.example\r\nEND:VEVENT"),
    "a response with a further attendee": RESPONSE.replace("END:VEVENT", "ATTENDEE:mailto:e@e.example\r\nEND:VEVENT"),
    "a response of somebody else": RESPONSE.replace("jane@customer", "eve@other"),
    "a property of Outlook's": ics("ORGANIZER:mailto:x@y.example", "X-MS-OLK-SENDER;CN=E:mailto:eve@other.example"),
    **{
        f"an address in {line.partition('@')[0]}": INVITATION.replace("ATTENDEE", f"{line}\r\nATTENDEE", 1)
        for line in (
            "X-ORGANIZER:eve@other.example",
            "X-ORGANIZER:Doe\\, Eve <eve@other.example>",
            'X-ORGANIZER;CN=Eve:"Eve" <eve@other.example>',
            "X-ATTENDEES:bob@other.example,eve@other.example",
            "X-REPLY-TO;VALUE=URI:x-mail;mailto:eve@other.example",
            "CONTACT:eve@other.example",
            'CONTACT;ALTREP="mailto:eve@other.example":Eve',
            "CONTACT:Eve\\, eve@other.example",
            "URL:mailto:eve@other.example?subject=yes",
            "URL;VALUE=URI:MailTo:eve@other.example",
            "ATTACH:mailto:eve@other.example",
            "CONFERENCE;LABEL=x:mailto:eve@other.example",
            "SOURCE;VALUE=URI:mailto:eve@other.example",
            "LOCATION;X-EMAIL=eve@other.example;X-A=b:Room",
            'RESOURCES;X-MEMBER="mailto:bob@other.example","mailto:eve@other.example":Room',
            "item1.X-ABEMAIL;type=WORK:eve@other.example",
            "ORGANIZER;CN=eve@other.example;EMAIL=eve@other.example:mailto:eve@other.example",
            'ATTENDEE;CN="eve@other.example";X-RESPONSE=eve@other.example:mailto:contact@example.com',
        )
    },
    "a participant": INVITATION.replace(
        "END:VEVENT",
        "BEGIN:PARTICIPANT\r\nCALENDAR-ADDRESS:mailto:eve@other.example\r\nEND:PARTICIPANT\r\nEND:VEVENT",
    ),
    "an alarm by email": INVITATION.replace(
        "END:VEVENT", "BEGIN:VALARM\r\nACTION:EMAIL\r\nATTENDEE:mailto:eve@other.example\r\nEND:VALARM\r\nEND:VEVENT"
    ),
    "a task": INVITATION.replace("VEVENT", "VTODO"),
    "a journal": INVITATION.replace("VEVENT", "VJOURNAL"),
    "free and busy times": INVITATION.replace("VEVENT", "VFREEBUSY"),
    "an unknown component": INVITATION.replace("VEVENT", "X-EVENT"),
    "no component": "BEGIN:VCALENDAR\r\nORGANIZER:mailto:eve@other.example\r\nEND:VCALENDAR\r\n",
    "nothing closed": INVITATION.partition("END:VEVENT")[0],
    "closed too often": "END:VEVENT\r\n" * 3 + INVITATION,
    "two calendars": INVITATION + INVITATION.replace("jane", "eve"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_no_organizer_or_attendee_of_a_forwarded_calendar_leads_past_us(case: str) -> None:
    calendar = _forwarded_calendar(HOSTILE[case])

    found = _addresses(calendar)
    assert found & {US, THREAD} or "separator" in case or "tab" in case
    assert found <= {US, THREAD, *(["jane@customer.example"] if case == "a response with a further attendee" else [])}


ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
CALLED = [
    ("text/calendar", "invite.ics"),
    ("text/calendar", "file"),
    ("application/ics", "invite"),
    ("application/octet-stream", "invite.ics"),
    ("application/octet-stream", "INVITE.ICS"),
    ("application/octet-stream", "readme.bin"),
    ("text/plain", "readme.txt"),
    ("text/x-vcalendar", "old.vcs"),
    ("application/pdf", "invoice.pdf"),
    ("image/png", "logo.png"),
]


@pytest.mark.parametrize(("kind", "name"), CALLED)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_calendar_is_found_whatever_it_is_called_and_however_it_is_encoded(
    kind: str, name: str, encoding: str
) -> None:
    calendar = _forwarded_calendar(("\r\n" + INVITATION).encode(encoding), kind, name)

    assert _addresses(calendar) == {US, THREAD}


def test_a_response_to_our_invitation_stays_as_it_is() -> None:
    for method in ("REPLY", "COUNTER", "REFRESH", "reply"):
        response = RESPONSE.replace("REPLY", method)
        for calendar in (response, response.replace(US, THREAD), response.replace(US, "Contact+x@example.com")):
            assert _forwarded_calendar(calendar, verified=True) == calendar


def test_a_response_that_is_not_verified_names_no_attendee_but_us() -> None:
    calendar = _forwarded_calendar(RESPONSE, verified=False)

    assert "jane@" not in calendar


@pytest.mark.parametrize("us", ["", "ATTENDEE;ROLE=OPT-PARTICIPANT:mailto:Contact+x@example.com\r\n"])
def test_the_public_address_is_the_only_attendee(us: str) -> None:
    calendar = _forwarded_calendar(INVITATION.replace("END:VEVENT", f"{us}END:VEVENT")).replace("\r\n ", "")

    (attendee,) = re.findall("ATTENDEE.*(?=\r)", calendar)
    assert attendee == f"ATTENDEE;{'ROLE=OPT-PARTICIPANT' if us else 'PARTSTAT=NEEDS-ACTION;RSVP=TRUE'}:mailto:{US}"
    assert f'ORGANIZER;CN="Doe, Jane":mailto:{THREAD}' in calendar


def test_what_asks_for_no_response_gets_no_attendee() -> None:
    published = ics("ORGANIZER:mailto:jane@customer.example", method="METHOD:PUBLISH\r\n")

    assert _addresses(_forwarded_calendar(published)) == {THREAD}
    assert _forwarded_calendar(ics("DESCRIPTION:ask bob@other.example")) == ics("DESCRIPTION:ask bob@other.example")


def test_texts_and_ids_of_a_calendar_stay() -> None:
    kept = (
        "UID:040000@customer.example", "RELATED-TO:2@customer.example", "DESCRIPTION:write to bob@other.example",
        "LOCATION:https://meet.example/@room", "URL:https://user@meet.example/1", "ATTACH:CID:part1@customer.example",
        "X-CONFERENCE:conf:sip:room@meet.example\\;gruu",
    )  # fmt: skip

    calendar = _forwarded_calendar(ics("ORGANIZER:mailto:jane@customer.example", *kept))

    assert [line for line in kept if line not in calendar.split("\r\n")] == []
    assert _forwarded_calendar(ics(*kept)) == ics(*kept)


def _signed(kind: str = "text/calendar") -> bytes:
    calendar = f"Content-Type: {kind}\r\nContent-Disposition: attachment; filename=x.ics\r\n\r\n{INVITATION}".encode()
    text = b"Content-Type: text/plain\r\n\r\nPlease come.\r\n"
    signature = b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n\r\nxyz\r\n"
    return multipart("signed", multipart("mixed", text, calendar, boundary="=-inner"), signature, boundary="=-signed")


def _whole(body: bytes) -> bytes:
    return entity([("From", "Jane <jane@customer.example>"), ("To", US), ("MIME-Version", "1.0")]) + body


def test_a_signed_invitation_is_attached_as_a_closed_file_with_a_warning() -> None:
    raw = _whole(_signed())

    forwarded = parse(_forwarded(raw))

    assert WARNING in forwarded.text
    assert "Please come." in forwarded.text
    assert "multipart/signed" not in {part.content_type for part in forwarded.root.walk()}
    originals = [file for file in forwarded.attachments if file.payload == raw]
    assert [(file.content_type, file.part.disposition) for file in originals] == [(CLOSED, "attachment")]
    assert all(
        _addresses(file.payload.decode()) <= {US, THREAD} for file in forwarded.attachments if file.payload != raw
    )


def _sealed() -> Iterator[tuple[str, str, str, bytes]]:
    opaque = b"0\x80\x06\x09*\x86H\x86\xf7\r\x01\x07\x02" + INVITATION.encode() + b"\0\0"
    yield "S/MIME, opaque", "application/pkcs7-mime", "smime.p7m", opaque
    yield "S/MIME by its name", "application/octet-stream", "smime.p7m", opaque
    yield "S/MIME by its content", "application/octet-stream", "a.dat", opaque
    yield "Outlook's container by its content", CLOSED, "a.dat", b"x\x9f>\x22IPM.Schedule.Meeting.Request\0"
    message_class = "IPM.Schedule.Meeting.Request".encode("utf-16-le")
    yield "Outlook's message as a file", "application/vnd.ms-outlook", "a.msg", b"\xd0\xcf\x11\xe0" + message_class
    yield "Outlook's container", "application/ms-tnef", "winmail.dat", b"x\x9f>\x22IPM.Schedule.Meeting.Request\0"
    inner = mail(attachments=[("x.ics", "text/calendar", INVITATION.encode())])
    yield "jCal", "application/calendar+json", "a.json", b'["vcalendar",[],[]]'
    yield "xCal", "application/calendar+xml", "a.xml", b"<icalendar/>"
    yield "a message", "message/rfc822", "fwd.eml", inner
    yield "a message as a file", "application/octet-stream", "fwd.eml", inner
    yield "a message in a message", "message/rfc822", "a.eml", mail(attachments=[("b.eml", CLOSED, inner)])
    yield "a signed message", "message/rfc822", "fwd.eml", _whole(_signed())


@pytest.mark.parametrize(("kind", "name", "payload"), [pytest.param(*case, id=id_) for id_, *case in _sealed()])
def test_an_invitation_that_cannot_be_changed_is_closed(kind: str, name: str, payload: bytes) -> None:
    head = [("Content-Type", kind), ("Content-Disposition", f"attachment; filename={name}")]
    text = b"Content-Type: text/plain\r\n\r\nHello\r\n"

    forwarded = parse(_forwarded(_whole(multipart("mixed", text, entity(head, payload)))))

    (file,) = forwarded.attachments
    assert (file.content_type, file.part.disposition) == (CLOSED, "attachment")
    assert file.name.endswith((".eml", ".bin"))
    assert file.payload.rstrip() == payload.rstrip()
    assert WARNING in forwarded.text


def test_a_signed_or_attached_message_without_an_invitation_stays_open() -> None:
    signed = _whole(_signed("text/csv").replace(b"x.ics", b"x.csv").replace(b"BEGIN:VCALENDAR", b"a;b"))
    attached = mail(attachments=[("fwd.eml", "application/octet-stream", mail(text="Hi"))])
    document = mail(attachments=[("a.doc", "application/msword", b"\xd0\xcf\x11\xe0 my calendar")])

    assert "multipart/signed" in {part.content_type for part in parse(_forwarded(signed)).root.walk()}
    assert WARNING not in parse(_forwarded(signed)).text
    assert WARNING not in parse(_forwarded(attached)).text
    assert WARNING not in parse(_forwarded(document)).text


def _zipped(name: str, content: bytes) -> bytes:
    return zipped({"readme.txt": b"x", name: content})


def _encrypted(name: str) -> bytes:
    packed = bytearray(_zipped(name, b"x" * 40))
    for flags in (packed.rindex(b"PK\3\4") + 6, packed.rindex(b"PK\1\2") + 8):
        packed[flags] |= 1
    return bytes(packed)


def _packing() -> Iterator[tuple[str, str, bytes]]:
    calendar = INVITATION.encode()
    inline = base64.b64encode(calendar).decode()
    event = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n{}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    yield "ZIP", "a.zip", _zipped("invite.ics", calendar)
    yield "ZIP, another name", "a.dat", _zipped("invite", INVITATION.encode("utf-16"))
    yield "ZIP, encrypted", "a.zip", _encrypted("invite.ICS")
    yield "ZIP in ZIP", "a.zip", _zipped("b.zip", _zipped("c.zip", _zipped("invite.ics", calendar)))
    yield "ZIP, too deep", "a.zip", functools.reduce(lambda inner, _: _zipped("a.zip", inner), range(8), b"x")
    yield "ZIP, too large", "a.zip", _zipped("invite.ics", b" " * 2_000_000)
    yield "gzip", "invite.ics.gz", gzip.compress(calendar)
    yield "tar and bzip2", "a.tbz", tarred(calendar, "w:bz2")
    yield "xz", "a.xz", lzma.compress(calendar)
    yield "a message in ZIP", "a.zip", _zipped("fwd.eml", mail(attachments=[("x.ics", "text/calendar", calendar)]))
    yield "ZIP in a message", "fwd.eml", mail(attachments=[("x.zip", "application/zip", _zipped("x.ics", calendar))])
    attached = f"ATTACH;FMTTYPE=text/calendar;ENCODING=BASE64;VALUE=BINARY:{inline}"
    folded = "\r\n ".join(attached[at : at + 70] for at in range(0, len(attached), 70))
    yield "a calendar in a calendar", "a.ics", event.format(folded).encode()
    yield "a calendar in a URI", "a.ics", event.format(f"ATTACH:data:text/calendar;base64,{inline}").encode()
    quoted = urllib.parse.quote(INVITATION)
    yield "a calendar in a quoted URI", "a.ics", event.format(f"ATTACH:DATA:text/calendar,{quoted}").encode()
    yield "ZIP in a calendar", "a.ics", event.format(
        f"ATTACH;ENCODING=BASE64:{base64.b64encode(_zipped('x.ics', calendar)).decode()}"
    ).encode()  # fmt: skip


@pytest.mark.parametrize(("name", "payload"), [pytest.param(*case, id=id_) for id_, *case in _packing()])
def test_an_invitation_that_is_packed_in_a_file_stays_there_and_the_owner_is_warned(
    name: str, payload: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "_UNPACKED", 1_500_000)
    forwarded = parse(_forwarded(mail(attachments=[(name, CLOSED, payload)])))

    (file,) = forwarded.attachments
    assert (file.name, file.payload) == (name, payload)
    assert WARNING in forwarded.text


def test_an_archive_without_an_invitation_causes_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "_UNPACKED", 1_500_000)
    holidays = ics("DTSTART;VALUE=DATE:20261224", method="").encode()
    for payload in (
        _zipped("holidays.ics", holidays), _encrypted("a.pdf"), gzip.compress(b"x"), _zipped("a.eml", mail(text="Hi")),
        _zipped("invite.ics", INVITATION.encode())[:-40], b"PK\3\4" + b"x" * 50, _zipped("a.txt", b" " * 2_000_000),
    ):  # fmt: skip
        assert WARNING not in parse(_forwarded(mail(attachments=[("a.zip", "application/zip", payload)]))).text


PIECES = st.sampled_from(
    ["ORGANIZER", "ATTENDEE", ":", ";", "mailto:", "eve@other.example", '"', "\r\n", "\n", "\r", " ", "BEGIN:VEVENT",
     "END:VEVENT", "METHOD:", "REPLY", "CN=", "X-MS-OLK-SENDER", ".", "\u2028", "\t", US]
)  # fmt: skip


@example("ATTENDEE\u2028ORGANIZER:mailto:eve@other.example")
@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_mixture_of_its_parts_leads_past_us(text: str) -> None:
    changed = with_parties(text, attendee=US, organizer=THREAD, is_ours=lambda address: address == US)

    for line in re.sub(r"(?:\r\n|\n|\r)[ \t]", "", changed).splitlines():
        name = re.split("[:;]", line)[0].strip().rpartition(".")[2]
        if name in {"ORGANIZER", "ATTENDEE"}:
            assert "eve@" not in line


CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Jane\r\nEMAIL;TYPE=work:jane@customer.example\r\nEND:VCARD\r\n"


@pytest.mark.parametrize(
    "calendar",
    [
        INVITATION,
        "\ufeff" + INVITATION,
        "\r\n\r\n" + INVITATION,
        INVITATION.replace("REQUEST", "PUBLISH"),
        INVITATION.replace("BEGIN:VCAL", "BEGIN:VC\r\n AL").replace("\r\n", "\n"),
        INVITATION.lower(),
        CARD + INVITATION,
    ],
    ids=["plain", "mark", "blank lines", "published", "folded", "lower case", "behind a card"],
)
@pytest.mark.parametrize("encoding", ["8bit", "base64"])
def test_a_calendar_that_is_the_body_itself_leads_to_us(calendar: str, encoding: str) -> None:
    content = {"8bit": calendar.encode(), "base64": base64.encodebytes(calendar.encode())}[encoding]
    part = entity([("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", encoding)], content)
    page = entity([("Content-Type", "text/html")], b"<p>Please come.</p>")
    card = {"jane@customer.example"} if "VCARD" in calendar else set()

    for raw in (part, multipart("mixed", part), multipart("alternative", part, page), multipart("mixed", page, part)):
        forwarded = parse(_forwarded(_whole(raw)))
        leaves = [
            leaf for leaf in forwarded.root.walk() if leaf.content_type != "text/html"
        ]  # no program reads that one
        texts = [_text(leaf.payload) for leaf in leaves if b"vcalendar" in leaf.payload.lower()]

        assert texts
        for text in texts:
            unfolded = re.sub(r"\r?\n[ \t]", "", text)
            calendars = unfolded[unfolded.lower().index("begin:v") : unfolded.lower().rindex("end:v")]
            assert _addresses(calendars) <= {US, THREAD, *card}
            assert THREAD in calendars


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "replace")


def test_a_calendar_that_is_the_body_leads_to_us_in_a_message_that_is_too_large() -> None:
    raw = _whole(entity([("Content-Type", "text/plain")], INVITATION.encode()))

    message = parse(raw)
    shortened = compose_forward(message, replace(forward_context(message), text_only=True)).raw
    text = re.sub(r"\r?\n[ \t]", "", parse(shortened).text)

    assert f'ORGANIZER;CN="Doe, Jane":mailto:{THREAD}' in text
    assert "bob@other.example" not in text


def test_a_response_in_the_body_and_a_text_about_calendars_stay_as_they_are() -> None:
    prose = f"Look at this file:\r\n\r\n{INVITATION}\r\nContact:\r\njane@customer.example\r\n"
    for body in (RESPONSE, prose):
        forwarded = parse(_forwarded(_whole(entity([("Content-Type", "text/plain")], body.encode()))))

        assert body.strip().replace("\r\n", "\n") in forwarded.text.replace("\r\n", "\n")


@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    "kind", ["text/vcard", "text/x-vcard", "text/directory", "application/octet-stream", "text/plain"]
)
def test_a_calendar_behind_a_card_is_found_and_the_card_stays(kind: str, codec: str) -> None:
    picture = "PHOTO;ENCODING=b:" + "\r\n ".join(["QUJD" * 18] * 200)
    cards = CARD.replace("END", f"{picture}\r\nEND") * 2
    (response,) = _files(_forwarded(mail(attachments=[("x.vcf", kind, (cards + RESPONSE).encode(codec))])))
    calendar = _forwarded_calendar((cards + INVITATION).encode(codec), kind, "x.vcf")
    unclosed = _forwarded_calendar((CARD.replace("END:VCARD\r\n", "") + INVITATION).encode(codec), kind, "x.vcf")

    assert calendar.count("EMAIL;TYPE=work:jane@customer.example") == 2
    assert _addresses(calendar.rpartition("END:VCARD")[2]) == {US, THREAD}
    assert _addresses(unclosed.partition("BEGIN:VCAL")[2]) == {US, THREAD}
    assert response.payload == (cards + RESPONSE).encode(codec)


def test_a_card_alone_stays_byte_for_byte() -> None:
    assert _forwarded_calendar(CARD, "text/vcard", "x.vcf") == CARD


JCAL = '["vcalendar",[["method",{},"text","REQUEST"]],[["vevent",[["organizer",{},"cal-address","mailto:j@c.example"]],[]]]]'
JSCALENDAR = '{"@type": "Event", "title": "x", "participants": {"a": {"sendTo": {"imip": "mailto:bob@other.example"}}}}'
XCAL = '<?xml version="1.0"?>\n<!-- x -->\n<icalendar xmlns="urn:ietf:params:xml:ns:icalendar-2.0"><vcalendar/></icalendar>'


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("application/json", "x.json"), ("text/json", "x"), ("text/plain", "x.txt"), (CLOSED, "x.bin"), ("application/xml", "x")],
)  # fmt: skip
@pytest.mark.parametrize(
    "written",
    [JCAL, f" [\n{JCAL}]", JCAL.replace("[", "[ ", 1).upper(), JSCALENDAR, f"[{JSCALENDAR}]", XCAL, XCAL.replace("icalendar", "c:icalendar")],
)  # fmt: skip
def test_a_calendar_in_another_form_is_closed_whatever_it_is_called(
    written: str, kind: str, name: str, codec: str
) -> None:
    forwarded = parse(_forwarded(mail(attachments=[(name, kind, written.encode(codec))])))

    (file,) = forwarded.attachments
    assert (file.content_type, file.part.disposition) == (CLOSED, "attachment")
    assert file.payload == written.encode(codec)
    assert WARNING in forwarded.text
    packed = parse(
        _forwarded(mail(attachments=[("a.zip", "application/zip", _zipped("x.json", written.encode(codec)))]))
    )
    assert WARNING in packed.text


def test_a_calendar_in_another_form_that_is_the_body_is_closed() -> None:
    forwarded = parse(_forwarded(_whole(entity([("Content-Type", "text/plain")], JCAL.encode()))))

    assert WARNING in forwarded.text
    assert [file.payload.strip() for file in forwarded.attachments] == [JCAL.encode()]


@pytest.mark.parametrize(
    "content", ['{"@type": "Event", "name": "x"}', '["vcalendars"]', "<icalendars/>", '{"vcalendar": 1}', "[]", "{}"]
)
def test_other_data_stay_as_they_are(content: str) -> None:
    forwarded = parse(_forwarded(mail(attachments=[("x.json", "application/json", content.encode())])))

    assert [(file.content_type, file.payload) for file in forwarded.attachments] == [
        ("application/json", content.encode())
    ]
    assert WARNING not in forwarded.text
