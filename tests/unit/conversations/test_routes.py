"""The mailboxes that config/routes.toml chooses for a message."""

import pytest

from email_handler.conversations.routes import MAX_MAILBOXES, MAX_MATCHED, load_routes
from email_handler.identifiers import EmailAddress

SALES, BOTH, OTHER = "sales@private.example", ("a@private.example", "b@private.example"), "owner@private.example"
DOCUMENT = b"""
[[route]]
to = "Sales@private.example"
tag = "offer"

[[route]]
to = ["a@private.example", "b@private.example"]
address = "contact@example.com"
subject = "(?i)^invoice"
sender = "@example\\\\.org$"
"""


def where(document: bytes = DOCUMENT, **given: str) -> tuple[str, ...]:
    mail = {"address": "contact@example.com", "tag": "", "subject": "Hello", "sender": "jane@example.org", **given}
    return load_routes(document).mailboxes_for(**mail, otherwise=(EmailAddress(OTHER),))


def test_without_a_matching_route_the_default_mailbox_is_chosen() -> None:
    assert where() == (OTHER,)
    assert where(b"") == (OTHER,)


def test_a_tag_chooses_a_mailbox() -> None:
    assert where(tag="OFFER") == (SALES,)


def test_every_condition_of_a_route_must_hold() -> None:
    assert where(subject="Invoice 7") == BOTH
    assert where(subject="Invoice 7", tag="any") == BOTH
    assert where(subject="Invoice 7", sender="jane@example.net") == (OTHER,)
    assert where(subject="Invoice 7", address="press@example.com") == (OTHER,)


def test_an_invalid_route_is_left_out_and_reported() -> None:
    routes = load_routes(DOCUMENT + b'\n[[route]]\nto = "x@private.example"\nsubject = "("\n\n[[route]]\ntag = "y"\n')

    assert len(routes.routes) == 2
    assert routes.problems == (
        "routes: route 3 left out (PatternError)",
        "routes: route 4 left out (KeyError)",
    )
    assert routes.mailboxes == {SALES, *BOTH, "x@private.example"}


def test_a_document_that_is_not_toml_has_no_routes_and_one_problem() -> None:
    for document in (b"[[route", b"\xff\xfe", b"route = 7"):
        assert where(document) == (OTHER,)
    assert load_routes(b"[[route").problems == ("routes: not a TOML document",)


@pytest.mark.parametrize(
    "to",
    [
        '"@"',
        '"Owner <a@b.example>"',
        '"a@b.example, c@d.example"',
        '"a@b.example\\r\\nBcc: c@d.example"',
        '["a@b.example", "@"]',
        "[]",
    ],
)
def test_every_mailbox_must_be_one_plain_address(to: str) -> None:
    routes = load_routes(f"[[route]]\nto = {to}\n".encode())

    assert routes.routes == ()
    assert routes.problems == ("routes: route 1 left out (ValueError)",)


@pytest.mark.parametrize("document", [b"x = " + b"[" * 100_000, b"x = " + b"{a=" * 100_000])
def test_a_document_that_nests_too_deeply_is_reported_as_not_toml(document: bytes) -> None:
    assert load_routes(document).problems == ("routes: not a TOML document",)


@pytest.mark.parametrize("document", [b'[route]\nto = "a@b.example"\n', b"route = 1"])
def test_routes_that_are_not_a_list_are_reported(document: bytes) -> None:
    assert load_routes(document).problems == ("routes: not a list of [[route]] tables",)


def test_a_pattern_that_backtracks_too_long_does_not_match() -> None:
    document = b'[[route]]\nto = "x@private.example"\nsubject = "^(a+)+$"\n'
    assert where(document, subject="a" * 900 + "b") == (OTHER,)


def test_a_pattern_sees_the_start_of_a_long_subject() -> None:
    document = b'[[route]]\nto = "x@private.example"\nsubject = "invoice"\n'

    assert where(document, subject="invoice".rjust(MAX_MATCHED)) == ("x@private.example",)
    assert where(document, subject="invoice".rjust(MAX_MATCHED + 1)) == (OTHER,)


def test_the_mailboxes_of_all_routes_are_listed() -> None:
    assert load_routes(DOCUMENT).mailboxes == {SALES, *BOTH}


def test_a_byte_order_mark_is_accepted() -> None:
    assert load_routes(b'\xef\xbb\xbf[[route]]\nto = "a@private.example"\n').mailboxes == {"a@private.example"}


def test_a_route_to_more_mailboxes_than_fit_a_transaction_is_left_out() -> None:
    to = [f"a{number}@private.example" for number in range(MAX_MAILBOXES + 1)]
    most, more = (load_routes(f"[[route]]\nto = {named}\n".encode()) for named in (to[:-1], to))

    assert most.mailboxes == set(to[:-1])
    assert most.problems == ()
    assert (more.routes, len(more.problems)) == ((), 1)
