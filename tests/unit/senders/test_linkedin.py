"""People who write through LinkedIn, and what LinkedIn sends for itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail.parsing import parse
from email_handler.senders.linkedin import LinkedInPerson, linkedin_person, linkedin_slug
from tests.support.builders import mail

THREAD = "https://www.linkedin.com/messaging/thread/2-YWJjZGVm=="


def person(
    sender: str, *, verified: bool = True, text: str = "Hello\r\n", html: str | None = None
) -> LinkedInPerson | None:
    return linkedin_person(parse(mail(sender=sender, text=text, html=html)), verified)


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        ("Jane Doe <inmail-hit-reply@linkedin.com>", "Jane Doe"),
        ('"Jane Doe, CPA" <hit-reply@linkedin.com>', "Jane Doe"),
        ("Jane Doe via LinkedIn <messaging-digest-noreply@linkedin.com>", "Jane Doe"),
        ('"Jane D. via LinkedIn" <messages-noreply@linkedin.com>', "Jane D."),
        ("Jane Doe <invitations@linkedin.com>", "Jane Doe"),
        ("Jane Doe via LinkedIn <member@linkedin.com>", "Jane Doe"),
        ("Jane Doe <hit-reply@mail.linkedin.com>", "Jane Doe"),
        ('"Jane Doe (She/Her)" <hit-reply@linkedin.com>', "Jane Doe"),
        ('"Jane Doe | Hiring" <hit-reply@linkedin.com>', "Jane Doe"),
        ('"Jane Doe - Recruiter" <hit-reply@linkedin.com>', "Jane Doe"),
        ("=?utf-8?q?Jos=C3=A9_Ni=C3=B1o_a_trav=C3=A9s_de_LinkedIn?= <hit-reply@linkedin.com>", "José Niño"),
        ("=?utf-8?q?J=C3=B6rg_Doe_=C3=BCber_LinkedIn?= <hit-reply@linkedin.com>", "Jörg Doe"),
        ("=?utf-8?b?546L5LyfIOmAmui/hyBMaW5rZWRJbg==?= <hit-reply@linkedin.com>", "王伟"),
    ],
)
def test_a_persons_name_is_read_from_the_display_name(sender: str, name: str) -> None:
    assert person(sender) == LinkedInPerson(name=name, thread_url="")


@pytest.mark.parametrize(
    "sender",
    [
        '"Acme via LinkedIn" <newsletters-noreply@linkedin.com>',
        "LinkedIn Job Alerts <jobalerts-noreply@linkedin.com>",
        "LinkedIn <messages-noreply@linkedin.com>",
        "LinkedIn News <editors-noreply@linkedin.com>",
        "hit-reply@linkedin.com",
        '", CPA" <hit-reply@linkedin.com>',
        "Jane Doe <updates@linkedin.com>",
        "Jane Doe <hit-reply@linkedin.com.evil.example>",
        "Jane Doe <hit-reply@notlinkedin.com>",
        "Jane Doe <hit-reply@linkedin.com>, Joe <joe@customer.example>",
        "Jane Doe <jane@customer.example>",
    ],
)
def test_anyone_else_is_not_a_person(sender: str) -> None:
    assert person(sender) is None


def test_an_unverified_sender_is_not_a_person() -> None:
    assert person("Jane Doe <hit-reply@linkedin.com>", verified=False) is None


@pytest.mark.parametrize(
    "body",
    [
        f"Reply: {THREAD}/\r\n",
        "https://www.linkedin.com/comm/messaging/thread/2-YWJjZGVm==/?midToken=x&amp;trk=y\r\n",
        "https://click.example/?u=https%3A%2F%2Fwww.linkedin.com%2Fcomm%2Fmessaging%2Fthread%2F2-YWJjZGVm%3D%3D%2F\r\n",
        f"<{THREAD}>\r\n",
    ],
)
def test_the_threads_address_is_found_plain_tracked_and_encoded(body: str) -> None:
    found = person("Jane Doe <hit-reply@linkedin.com>", text=body)

    assert found == LinkedInPerson(name="Jane Doe", thread_url=f"{THREAD}/")


def test_the_threads_address_is_found_in_html() -> None:
    html = f'<a href="{THREAD}/?x=1">View</a>'

    assert person("Jane Doe <hit-reply@linkedin.com>", html=html) == LinkedInPerson(
        name="Jane Doe", thread_url=f"{THREAD}/"
    )


def test_an_unknown_sender_at_linkedin_is_a_person_if_the_message_has_a_thread() -> None:
    assert person("Jane Doe <new-thing@linkedin.com>", text=THREAD) is not None
    assert person("Jane Doe <new-thing@linkedin.com>") is None
    assert person("Acme <newsletters-noreply@linkedin.com>", text=THREAD) is None


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Jane Doe", "linkedin-jane-doe"),
        ("  Jane   DOE ", "linkedin-jane-doe"),
        ("J. R. Doe", "linkedin-j-r-doe"),
        ("Jane O\u2019Neil-Smith", "linkedin-jane-oneil-smith"),
        ("José Niño", "linkedin-jose-nino"),
        ("Jose\u0301 Nin\u0303o", "linkedin-jose-nino"),
        ("Łukasz Żółć", "linkedin-lukasz-zolc"),
        ("Jörg Weiß", "linkedin-jorg-weiss"),
        ("Иван Петров", "linkedin-ivan-petrov"),
        ("Γιάννης", "linkedin-giannis"),
        ("王伟", "linkedin-wang-wei"),
        ("김철수", "linkedin-gim-cheol-su"),
        ("محمد علي", "linkedin-mhmd-ly"),
        ("Jane \U0001f680 Doe", "linkedin-jane-doe"),
        ("", "linkedin-member"),
        ("\U0001f680 !!", "linkedin-member"),
        ("Maximiliane Alexandra Wilhelmina von Beispiel", "linkedin-maximiliane-alexandra"),
        ("x" * 200, f"linkedin-{'x' * 31}"),
    ],
)
def test_a_name_gives_an_id(name: str, slug: str) -> None:
    assert linkedin_slug(name) == slug


@given(st.text(max_size=300))
def test_any_name_gives_a_short_ascii_id(name: str) -> None:
    slug = linkedin_slug(name)

    assert len(slug) <= 40
    assert slug.startswith("linkedin-")
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert "--" not in slug
    assert not slug.endswith("-")
