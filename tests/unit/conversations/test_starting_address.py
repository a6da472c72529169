"""Starting addresses: what is written is what is read, whatever the contact's address holds."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from email_handler.conversations.starting_address import (
    MAX_LOCAL_PART,
    NotReadable,
    Start,
    UnknownPublicAddress,
    read_start,
    starting_address,
)
from email_handler.conversations.thread_address import read_thread_address
from email_handler.identifiers import EmailAddress

THREAD = "thread.example.com"
PUBLIC = tuple(map(EmailAddress, ("contact@example.com", "sales@example.com", "mail.from.sales@example.com")))
ATOM = string.ascii_lowercase + string.digits + "!#$%&'*+-/=?^_`{|}~"
LOCAL = st.lists(st.one_of(st.text(ATOM, min_size=1, max_size=8), st.just("from")), min_size=1, max_size=4).map(
    ".".join
)
DOMAIN = st.lists(
    st.sampled_from(["customer", "from", "sales", "contact", "to", "xn--bcher-kva", "a-b", "9"]), min_size=1
)


def read(address: str) -> Start:
    target = read_thread_address(address, THREAD)
    assert target is not None
    assert target.starts
    return read_start(target, PUBLIC)


@pytest.mark.parametrize(
    ("local", "contact", "public"),
    [
        ("to.jane=customer.example", "jane@customer.example", "contact@example.com"),
        ("to.jane=customer.example.from.sales", "jane@customer.example", "sales@example.com"),
        ("to.jane+x=customer.example", "jane+x@customer.example", "contact@example.com"),
        ("to.a=b=customer.example", "a=b@customer.example", "contact@example.com"),
        ("to.me.from.sales=customer.example", "me.from.sales@customer.example", "contact@example.com"),
        ("to.jane=from.example.from.sales", "jane@from.example", "sales@example.com"),
        ("to.jane=x.example.from.mail.from.sales", "jane@x.example", "mail.from.sales@example.com"),
        ("TO.Jane=Customer.EXAMPLE", "jane@customer.example", "contact@example.com"),
        ("to.to.jane=x.example=thread.other.example", "to.jane=x.example@thread.other.example", "contact@example.com"),
    ],
)
def test_it_is_read_from_the_right(local: str, contact: str, public: str) -> None:
    assert read(f"{local}@{THREAD}") == Start(contact=EmailAddress(contact), public_address=EmailAddress(public))


@pytest.mark.parametrize(
    "local",
    [
        "to.jane",
        "to.=customer.example",
        "to.jane=",
        "to.jane=customer",
        "to.jane=customer.example.",
        "to.jane=[203.0.113.9]",
        "to.jane=203.0.113.9",
        "to.jane=-x.example",
        "to..jane=customer.example",
        "to.jane.=customer.example",
        'to."jane doe"=customer.example',
        "to.jane,kim=customer.example",
        "to.jane=customer.example,kim=customer.example",
        "to.jane=customer.example+close",
        "to.jan\u00e9=customer.example",
        "to.jane\r\nbcc: x=customer.example",
        "to.jane=customer.example\r\nbcc",
    ],
)
def test_what_names_nobody_is_not_read(local: str) -> None:
    with pytest.raises(NotReadable):
        read(f"{local}@{THREAD}")


@pytest.mark.parametrize(
    "local", ["to.jane=customer.example.from.slaes", "to.jane=from.example", "to.jane=x.from.example"]
)
def test_a_slip_in_the_public_address_is_no_domain_of_a_strangers(local: str) -> None:
    with pytest.raises(UnknownPublicAddress):
        read(f"{local}@{THREAD}")


def test_an_internationalized_domain_is_written_in_ascii() -> None:
    start = Start(contact=EmailAddress("jane@b\u00fccher.example"), public_address=PUBLIC[0])
    address = starting_address(start, PUBLIC, THREAD)

    assert address == f"to.jane=xn--bcher-kva.example@{THREAD}"
    assert read(f"to.jane=b\u00fccher.example@{THREAD}").contact == "jane@xn--bcher-kva.example"


@pytest.mark.parametrize(
    "contact",
    ["j" * 50 + "@customer.example", '"jane doe"@customer.example', "jane@localhost", "jan\u00e9@x.example", "x"],
)
def test_what_cannot_be_written_so_is_refused(contact: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        starting_address(Start(contact=EmailAddress(contact), public_address=PUBLIC[0]), PUBLIC, THREAD)


@given(LOCAL, DOMAIN.map(lambda labels: ".".join([*labels, "example"])), st.sampled_from(PUBLIC))
@example("jane", "x.from.sales", PUBLIC[0])
@example("a=b.from.sales", "customer.example", PUBLIC[1])
@example("jane", "x.from.mail.example", PUBLIC[1])
def test_what_is_written_is_what_is_read(local: str, domain: str, public: EmailAddress) -> None:
    start = Start(contact=EmailAddress(f"{local}@{domain}"), public_address=public)
    try:
        address = starting_address(start, PUBLIC, THREAD)
    except ValueError:
        assert len(f"to.{local}={domain}.from.{public}".partition("@")[0]) > MAX_LOCAL_PART - len(".from.contact") or (
            "from" in domain
        )
        return

    assert len(address.partition("@")[0]) <= MAX_LOCAL_PART
    assert read(address) == start


@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    target = read_thread_address(f"to.{text}@{THREAD}", THREAD)
    if target is None:  # a domain of its own behind another @
        return
    try:
        start = read_start(target, PUBLIC)
    except (NotReadable, UnknownPublicAddress):
        return
    assert start.contact.isascii()
    assert start.contact.count("@") == 1
    assert start.public_address in PUBLIC
