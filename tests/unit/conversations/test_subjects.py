"""Subject lines: prefixes, labels, renames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.conversations.subjects import MAX_SUBJECT, base_subject, first_subject, renamed, reply_subject


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Re: A question", "A question"),
        ("AW: SV: A question", "A question"),
        ("RE[2]: A question", "A question"),
        ("回复: A question", "A question"),
        ("回复\uff1aA question", "A question"),
        ("[EXT] Re: A question", "A question"),
        ("(External) Fwd: A  question", "A question"),
        ("re : A question", "A question"),
        ("[ticket 7] Re: A question", "[ticket 7] Re: A question"),
        ("Regarding: A question", "Regarding: A question"),
        ("\u0130LT: A question", "A question"),
        ("Ref: 2026-117", "Ref: 2026-117"),
        ("RE[2: A question", "RE[2: A question"),
        ("RE[x]: A question", "RE[x]: A question"),
        ("[EXT", "[EXT"),
        ("Next] A question", "Next] A question"),
        ("Re: " * (MAX_SUBJECT // 2 - 1) + "Offer", "Offe"),
        ("Re:", ""),
        ("[EXT]", ""),
        ("", ""),
    ],
)
def test_the_base_subject_has_no_reply_prefixes_or_gateway_labels(subject: str, base: str) -> None:
    assert base_subject(subject) == base


@given(st.text())
def test_a_base_subject_has_no_prefixes_left_and_is_one_line(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(base) == base
    assert "\n" not in base


@given(st.integers(1, 30), st.sampled_from(["Re: ", "AW:", "[EXT] ", "Fwd: ", "RE[3]: "]))
def test_any_number_of_prefixes_is_removed(times: int, prefix: str) -> None:
    assert base_subject(prefix * times + "Offer") == "Offer"


def test_a_reply_has_one_prefix() -> None:
    assert reply_subject("AW: Re: Offer") == "Re: Offer"
    assert reply_subject("") == "Re:"


@pytest.mark.parametrize(
    "subject",
    [
        "A question",
        "Re: A question",
        "[CAUTION: External Sender] Re: A question",
        "Re: ***UNCHECKED*** A question",
        "VAR: [list 7] A question",
        "Re:",
        "",
    ],
)
def test_unknown_labels_and_prefixes_do_not_count_as_a_rename(subject: str) -> None:
    assert renamed(subject, "A question") == ""


def test_a_person_can_rename_the_thread() -> None:
    assert renamed("Re: My question", "question") == "My question"
    assert renamed("Re: A question about prices", "A question") == "A question about prices"
    assert renamed("A question", "") == "A question"
    assert renamed("[ticket 7]", "A question") == "[ticket 7]"


def test_a_label_does_not_rename_a_thread_without_a_subject() -> None:
    assert renamed("Re: [CAUTION: External Sender] Re:", "") == ""


@given(st.text(), st.text())
def test_a_new_name_is_a_base_subject_or_empty(subject: str, known: str) -> None:
    assert renamed(subject, known) in ("", base_subject(subject))


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("A question", "A question"),
        ("Re: A question", "Re: A question"),
        ("FWD: re: A question", "FWD: re: A question"),
        ("AW: A question", "Re: A question"),
        ("[EXT] A question", "Re: A question"),
        ("Ref: 2026-117", "Re: Ref: 2026-117"),
        ("", ""),
        ("x" * 600, "x" * 400),
    ],
)
def test_the_first_forward_has_only_prefixes_that_every_client_removes(subject: str, shown: str) -> None:
    assert first_subject(subject) == shown
