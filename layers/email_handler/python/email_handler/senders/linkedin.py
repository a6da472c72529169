"""Persons who write through LinkedIn: who they are and where their conversation is.

LinkedIn's Reply-To and envelope sender change with every mail; what stays is the display name and the address of
the message thread on its site.
"""

import re
import unicodedata
from dataclasses import dataclass

from anyascii import anyascii

from email_handler.mail.addresses import split_address
from email_handler.mail.message import Message

_SLUG_LIMIT = 40
_BODY_LIMIT = 500_000  # characters searched for the thread's address
_NAME_LIMIT = 100

_PERSONS = re.compile(
    r"(?:inmail-)?hit-reply|member|invitations?(?:-noreply)?|messag(?:es|ing)(?:-digest)?(?:-noreply)?"
)
"""Local parts at linkedin.com that write for a person. Those of newsletters, job alerts, news are others."""

_MASSES = re.compile(r".*(?:newsletter|job|editor|news|alert|security|marketing|premium|billing|support|learning).*")

_VIA = re.compile(
    r"[\s(]+(?:via|über|par|par le biais de|por|per|genom|przez|через|a través de|tramite)"
    r" linkedin\)?$|\s*(?:通过|透過|經由|经由)\s*(?:linkedin|领英)$|\s*linkedin\s*(?:経由|을 통해)$",
    re.IGNORECASE,
)
"""How LinkedIn says "via LinkedIn" after the name, in the reader's language."""

_THREAD = re.compile(
    r"linkedin\.com(?:/|%2f)(?:comm(?:/|%2f)|m(?:/|%2f))?messaging(?:/|%2f)thread(?:/|%2f)((?:[A-Za-z0-9_=-]|%3d){4,200})",
    re.IGNORECASE,
)
"""The thread's address: plain, below ``/comm/`` in notification mail, or percent-encoded inside a redirect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedInPerson:
    """Who wrote through LinkedIn."""

    name: str  # display name less "via LinkedIn", ranks after a comma, pronouns and quotes; never empty
    thread_url: str  # ``https://www.linkedin.com/messaging/thread/<id>/``, "" where the mail holds none


def linkedin_person(message: Message, verified_at_linkedin: bool) -> LinkedInPerson | None:
    """Return the person behind a LinkedIn notification, None where *message* is not one of a person.

    *verified_domain_ok* says that the From address is verified and at linkedin.com or below it: From and the
    ``X-LinkedIn-*`` fields are forged in spam, so nothing is believed without.
    """
    if not verified_at_linkedin or len(message.from_) != 1:
        return None
    sender = message.from_[0]
    local, domain = split_address(sender.address.lower())
    if domain != "linkedin.com" and not domain.endswith(".linkedin.com"):
        return None
    name = _person_name(sender.name)
    thread_url = _thread_url(message)
    writes_for_a_person = _PERSONS.fullmatch(local) or (thread_url and not _MASSES.fullmatch(local))
    if not name or not writes_for_a_person:
        return None
    return LinkedInPerson(name=name, thread_url=thread_url)


def linkedin_slug(name: str) -> str:
    """Return the conversation id that *name* gives: ``linkedin-jane-doe``, at most 40 characters.

    Other scripts are transliterated; Chinese and Korean syllables become words of their own.
    A name without any letter or digit gives ``linkedin-member``.
    """
    spelled = "".join(_spelled(character) for character in unicodedata.normalize("NFC", name[:_NAME_LIMIT]))
    words = re.findall(r"[a-z0-9]+", spelled.lower())
    slug = "linkedin"
    for word in words or ["member"]:
        if len(slug) + 1 + len(word) > _SLUG_LIMIT:
            return slug if slug != "linkedin" else f"linkedin-{word}"[:_SLUG_LIMIT]
        slug += f"-{word}"
    return slug


def _spelled(character: str) -> str:
    """Return one character of a name in ASCII letters, a space for what separates words, "" for marks in words."""
    category = unicodedata.category(character)
    if character in "'`\u2019\u02bc\u00b4" or category in ("Mn", "Cf", "Lm"):
        return ""
    if category[0] not in "LNM":
        return " "
    latin = re.sub(r"[^A-Za-z0-9]", "", anyascii(character))
    return f" {latin}" if category == "Lo" and latin[:1].isupper() else latin


def _person_name(display_name: str) -> str:
    """Return the person's name in LinkedIn's display name, "" where the name is LinkedIn's own or none at all."""
    name = " ".join(display_name[:_NAME_LIMIT].split()).strip("\"'“”„«» ")
    name = _VIA.sub("", name)
    name = re.split(r"[,،、|]| [-\u2013\u2014] |\(", name, maxsplit=1)[0]  # ranks, headlines and pronouns follow
    name = "".join(character for character in name if unicodedata.category(character)[0] not in "SC")
    name = " ".join(name.split()).strip("\"'“”„«» ")
    letters = any(character.isalpha() for character in name)
    return name if letters and "linkedin" not in name.lower() and "领英" not in name and "@" not in name else ""


def _thread_url(message: Message) -> str:
    for body in (message.text, message.html):
        found = _THREAD.search(body[:_BODY_LIMIT])
        if found:
            identifier = re.sub("%3d", "=", found.group(1), flags=re.IGNORECASE)
            return f"https://www.linkedin.com/messaging/thread/{identifier}/"
    return ""
