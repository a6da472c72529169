from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from publicsuffixlist import PSLFILE, PublicSuffixList

from email_handler.mail.addresses import (
    MAX_MAILBOXES,
    address_domain,
    aligned,
    ascii_address,
    ascii_domain,
    displayed,
    organizational_domain,
    read_mailboxes,
    same_address,
    split_address,
    split_tag,
)
from email_handler.mail.headers import MAX_VALUE
from email_handler.mail.public_suffixes import LONGEST


def pairs(*values: str) -> list[tuple[str, str]]:
    return [(mailbox.name, mailbox.address) for mailbox in read_mailboxes(values)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("jane@customer.example", [("", "jane@customer.example")]),
        ("Jane Doe <jane@Customer.EXAMPLE>", [("Jane Doe", "jane@customer.example")]),
        ('"Doe, Jane" <jane@customer.example>', [("Doe, Jane", "jane@customer.example")]),
        ("jane@customer.example (Jane Doe)", [("Jane Doe", "jane@customer.example")]),
        ("=?utf-8?q?J=C3=BCrgen?= <j@customer.example>", [("Jürgen", "j@customer.example")]),
        (" a@b.example , c@d.example ,, ", [("", "a@b.example"), ("", "c@d.example")]),
        ("Team: a@b.example, B <b@b.example>;", [("", "a@b.example"), ("B", "b@b.example")]),
        ("undisclosed-recipients:;", []),
        ("<@relay.example,@two.example:jane@customer.example>", [("", "jane@customer.example")]),
        ('"jane doe"@customer.example', [("", '"jane doe"@customer.example')]),
        ("jane . doe @ customer.example", [("", "jane.doe@customer.example")]),
        ("jane@[192.0.2.1]", [("", "jane@[192.0.2.1]")]),
        ("mailer-daemon", []),
        ("MAILER-DAEMON <>", []),
        ("", []),
    ],
)
def test_address_fields_are_read(value: str, expected: list[tuple[str, str]]) -> None:
    assert pairs(value) == expected


def test_a_name_with_an_unquoted_comma_is_kept_whole() -> None:
    assert pairs("Doe Kundenservice, <service@shop.example>") == [("Doe Kundenservice", "service@shop.example")]
    assert pairs("Doe, Jane <jane@customer.example>") == [("Doe, Jane", "jane@customer.example")]


def test_every_address_of_a_broken_field_is_found() -> None:
    """A sender is verified only if From contains exactly one address, so none may hide."""
    assert [a for _, a in pairs("A <a@b.example> B <c@d.example>")] == ["a@b.example", "c@d.example"]
    assert [a for _, a in pairs("a@b.example c@d.example")] == ["a@b.example", "c@d.example"]
    assert [a for _, a in pairs("a@b.example", "c@d.example")] == ["a@b.example", "c@d.example"]


def test_an_unclosed_quote_does_not_hide_the_address() -> None:
    assert pairs('"Jane Doe <jane@customer.example>') == [('"Jane Doe', "jane@customer.example")]


def test_an_address_inside_a_name_is_part_of_the_name() -> None:
    assert pairs('"owner@example.com" <eve@evil.example>') == [("owner@example.com", "eve@evil.example")]
    assert pairs("owner@example.com <eve@evil.example>") == [("owner@example.com", "eve@evil.example")]


def test_an_encoded_name_adds_no_address_and_no_line() -> None:
    name, address = pairs("=?utf-8?q?a=40b=2Eexample=2C_=0D=0ABcc=3A?= <jane@customer.example>")[0]

    assert address == "jane@customer.example"
    assert name == "a@b.example,  Bcc:"


def test_a_partial_address_at_the_end_of_a_cut_value_is_ignored() -> None:
    value = ", ".join(["jane@customer.example"] * (MAX_VALUE // 20))

    assert {mailbox.address for mailbox in read_mailboxes([value])} == {"jane@customer.example"}


def test_the_number_of_mailboxes_is_limited() -> None:
    assert len(read_mailboxes(["a@b.example," * 1000] * 3)) == MAX_MAILBOXES


@given(st.lists(st.text(alphabet=st.sampled_from('ab@.,;:<>()"\\[] \té='), max_size=60), max_size=3))
def test_any_text_yields_complete_addresses_on_one_line(values: list[str]) -> None:
    for mailbox in read_mailboxes(values):
        local, at, domain = mailbox.address.rpartition("@")
        assert (bool(local), at, bool(domain)) == (True, "@", True)
        assert (mailbox.name + mailbox.address).isprintable()


@pytest.mark.parametrize("field", ["<a@b.example,c@d.example>", "<a@b@c.example>", "<a;b@c.example>", "<b@c.example,>"])
def test_an_address_that_would_be_several_when_written_again_is_ignored(field: str) -> None:
    assert pairs(f"Jane {field}") == []


def test_comments_within_an_address_are_removed() -> None:
    assert pairs("Jane <jane(of the shop)@customer.example(main server)>") == [("Jane", "jane@customer.example")]


def test_a_quoted_local_part_may_contain_any_character() -> None:
    assert pairs('<"a,b @c"@d.example>') == [("", '"a,b @c"@d.example')]


def test_the_domain_of_an_address_is_written_in_ascii() -> None:
    assert ascii_address("Jane@Bücher.example") == "Jane@xn--bcher-kva.example"
    assert ascii_address("jane@customer.example") == "jane@customer.example"
    assert ascii_address("nobody") == "nobody"


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("Jane@Customer.EXAMPLE.", ("Jane", "customer.example")),
        ('"a@b"@c.example', ('"a@b"', "c.example")),
        ("@c.example", ("", "c.example")),
        ("jane", ("", "")),
        ("", ("", "")),
    ],
)
def test_an_address_is_split_into_local_part_and_lower_case_domain(address: str, parts: tuple[str, str]) -> None:
    assert split_address(address) == parts
    assert address_domain(address) == parts[1]


def test_spellings_of_the_same_mailbox_are_equal() -> None:
    assert same_address("Jane@Customer.example", "jane@customer.EXAMPLE")
    assert same_address("jane@bücher.example", "jane@xn--bcher-kva.example")
    assert not same_address("jane@customer.example", "jane+x@customer.example")
    assert not same_address("jane@customer.example", "jane@customer.example.net")
    assert not same_address("", "")


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("contact+shop@example.com", ("contact@example.com", "shop")),
        ("contact+a+b@example.com", ("contact@example.com", "a+b")),
        ("contact@example.com", ("contact@example.com", "")),
        ("+x@example.com", ("+x@example.com", "")),
        ("contact+@example.com", ("contact@example.com", "")),
    ],
)
def test_tags_are_split_off(address: str, expected: tuple[str, str]) -> None:
    assert split_tag(address) == expected


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("mail.customer.example", "customer.example"),
        ("a.b.customer.co.uk", "customer.co.uk"),  # no reserved example name has a public suffix of two labels
        ("co.uk", "co.uk"),
        ("Customer.Example.", "customer.example"),
        ("mail.bücher.example", "xn--bcher-kva.example"),
        ("", ""),
        ("a" * 400, "a" * 400),
    ],
)
def test_the_organizational_domain_follows_the_public_suffix_list(domain: str, expected: str) -> None:
    assert organizational_domain(domain) == expected


def test_every_name_of_the_public_suffix_list_is_looked_up_as_its_library_does() -> None:
    listed = Path(PSLFILE).read_text(encoding="utf-8").splitlines()
    names = [name.split(" ")[0].lstrip("!*.") for name in listed if name and not name.startswith("//")]
    library = PublicSuffixList()
    domains = [f"{below}{ascii_domain(name)}" for name in names for below in ("", "a.", "a.b.")]

    assert len(names) > 9000
    assert [organizational_domain(domain) for domain in domains] == [
        library.privatesuffix(domain) or domain for domain in domains
    ]


def test_no_rule_of_the_public_suffix_list_is_longer_than_what_is_looked_up() -> None:
    listed = Path(PSLFILE).read_text(encoding="utf-8").splitlines()

    assert max(len(rule.split(".")) for rule in listed if rule and not rule.startswith("//")) == LONGEST


def test_alignment_is_relaxed_within_an_organizational_domain_only() -> None:
    assert aligned("bounce.customer.example", "mail.customer.example")
    assert not aligned("a.co.uk", "b.co.uk")
    assert not aligned("customer.example", "customer.example.org")
    assert not aligned("", "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("jane@customer.example", "jane@customer.example"),
        ("postmaster", "postmaster"),
        ('"jane  doe"@x.example', '"jane_doe"@x.example'),
        ("a" * 30 + "@x.example", "a" * 19 + "\u2026@x.example"),
        ("jane@" + "x." * 20 + "evil.example", "jane@\u2026x.evil.example"),
        ("a" * 30 + "@" + "x." * 20 + "evil.example", "a" * 13 + "\u2026@\u2026x.evil.example"),
    ],
)
def test_a_displayed_address_keeps_the_end_of_its_domain(address: str, shown: str) -> None:
    assert displayed(address, 30) == shown


@given(st.text(max_size=60), st.integers(20, 40))
def test_a_displayed_address_is_as_short_as_asked(address: str, limit: int) -> None:
    assert len(displayed(address, limit)) <= limit
