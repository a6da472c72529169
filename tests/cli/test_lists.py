"""``email-handler allow``, ``block``, ``unlist`` and ``lists``."""

import pytest

from cloud.cloud import LocalCloud
from operations.lists import read_entry
from tests.support.operator import lines, run


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("Jane@Customer.EXAMPLE", "jane@customer.example"),
        ("customer.example", "customer.example"),
        (" @customer.example ", "customer.example"),
        ("o'neil+x@sub.customer.example", "o'neil+x@sub.customer.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("jane@B\u00fccher.example", "jane@xn--bcher-kva.example"),
    ],
)
def test_addresses_and_domains_are_listed_in_lower_case(text: str, entry: str) -> None:
    assert read_entry(text) == entry


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jane",
        "jane@",
        "@",
        "jane@localhost",
        "a b@customer.example",
        "customer..example",
        "*.example",
        "b cher.example",
    ],
)
def test_other_text_is_a_mistake_in_the_command_line(text: str) -> None:
    with pytest.raises(ValueError, match="neither an address nor a domain"):
        read_entry(text)


@pytest.mark.cloud
def test_an_entry_moves_from_list_to_list_and_off(cloud: LocalCloud) -> None:
    entry = "lister.example"

    assert lines(cloud, "allow", entry) == [{"entry": entry, "list": "allow", "before": None}]
    assert lines(cloud, "block", entry) == [{"entry": entry, "list": "block", "before": "allow"}]
    assert {"entry": entry, "list": "block"} in lines(cloud, "lists")
    assert lines(cloud, "unlist", entry) == [{"entry": entry, "list": None, "before": "block"}]
    assert entry not in [line["entry"] for line in lines(cloud, "lists")]


@pytest.mark.cloud
def test_unlisting_an_entry_that_is_on_no_list_fails(cloud: LocalCloud) -> None:
    ran = run(cloud, "unlist", "nobody.example")

    assert ran.exit_code == 1
    assert "nobody.example is on no list" in str(ran.exception)
