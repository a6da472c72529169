"""People who write through LinkedIn: their names, and the addresses of their threads.

LinkedIn's Reply-To and envelope sender change with every message. Only the display name and the address of the thread
on its site stay the same.
"""

import re
import unicodedata

from anyascii import anyascii

from email_handler.mail.addresses import address_domain, split_address
from email_handler.mail.message import Message
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

_SLUG_LIMIT = 40
_BODY_LIMIT = 500_000  # characters searched for the thread's address
_NAME_LIMIT = 100

_PERSONAL = regex(r"(?:inmail-)?hit-reply|member|invitations?(?:-noreply)?|messag(?:es|ing)(?:-digest)?(?:-noreply)?")
"""Local parts at linkedin.com that send for a person. Newsletters, job alerts and news have others."""

_BULK = regex(r".*(?:newsletter|job|editor|news|alert|security|marketing|premium|billing|support|learning).*")

_VIA = regex(
    r"[\s(]+(?:via|über|par|par le biais de|por|per|genom|przez|через|a través de|tramite)"
    r" linkedin\)?$|\s*(?:通过|透過|經由|经由)\s*(?:linkedin|领英)$|\s*linkedin\s*(?:経由|을 통해)$",
    re.IGNORECASE,
)
"""LinkedIn's "via LinkedIn" after the name, in the reader's language."""

_THREAD = regex(
    r"linkedin\.com(?:/|%2f)(?:comm(?:/|%2f)|m(?:/|%2f))?messaging(?:/|%2f)thread(?:/|%2f)((?:[A-Za-z0-9_=-]|%3d){4,200})",
    re.IGNORECASE,
)
"""The thread's address: plain, below ``/comm/`` in notifications, or percent-encoded inside a redirect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkedInPerson:
    """A person who wrote through LinkedIn."""

    name: str  # the display name without "via LinkedIn", titles after a comma, pronouns and quotes; never empty
    thread_url: str  # ``https://www.linkedin.com/messaging/thread/<id>/``, "" if the message has none


def linkedin_person(message: Message, verified: bool) -> LinkedInPerson | None:
    """Return the person who wrote *message* through LinkedIn, None if it is anything else.

    *verified* is whether the From address is verified: spam forges From and the ``X-LinkedIn-*`` fields.
    """
    if not verified or len(message.from_) != 1:
        return None
    sender = message.from_[0]
    if not is_linkedins(sender.address):
        return None
    local = split_address(sender.address.lower())[0]
    name = _person_name(sender.name)
    thread_url = _thread_url(message)
    sent_for_a_person = _PERSONAL.fullmatch(local) or (thread_url and not _BULK.fullmatch(local))
    if not name or not sent_for_a_person:
        return None
    return LinkedInPerson(name=name, thread_url=thread_url)


def is_linkedins(address: str) -> bool:
    """Return whether *address* is one of LinkedIn's own, from which it sends the messages of many people."""
    domain = address_domain(address)
    return domain == "linkedin.com" or domain.endswith(".linkedin.com")


def linkedin_slug(name: str) -> str:
    """Return the conversation id for *name*: ``linkedin-jane-doe``, at most 40 characters.

    Other scripts are transliterated; Chinese and Korean syllables become separate words. A name without letters and
    digits gives ``linkedin-member``.
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
    """Return one character of a name in ASCII: a space if it separates words, "" if it is a mark within a word."""
    category = unicodedata.category(character)
    if character in "'`\u2019\u02bc\u00b4" or category in ("Mn", "Cf", "Lm"):
        return ""
    if category[0] not in "LNM":
        return " "
    latin = re.sub(r"[^A-Za-z0-9]", "", anyascii(character))
    return f" {latin}" if category == "Lo" and latin[:1].isupper() else latin


def _person_name(display_name: str) -> str:
    """Return the person's name from LinkedIn's display name, "" if it is LinkedIn's own name or not a name."""
    name = " ".join(display_name[:_NAME_LIMIT].split()).strip("\"'“”„«» ")
    name = _VIA.sub("", name)
    name = re.split(r"[,،、|]| [-\u2013\u2014] |\(", name, maxsplit=1)[0]  # titles, headlines and pronouns follow
    name = "".join(character for character in name if unicodedata.category(character)[0] not in "SC")
    name = " ".join(name.split()).strip("\"'“”„«» ")
    letters = any(character.isalpha() for character in name)
    return name if letters and "linkedin" not in name.lower() and "领英" not in name and "@" not in name else ""


def _thread_url(message: Message) -> str:
    for body in (message.text, message.html):
        if found := _THREAD.search(body[:_BODY_LIMIT]):
            identifier = re.sub("%3d", "=", found.group(1), flags=re.IGNORECASE)
            return f"https://www.linkedin.com/messaging/thread/{identifier}/"
    return ""
