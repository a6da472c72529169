"""A message's fields as searches see them, bounded in length, each made at most once."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import islice
from urllib.parse import unquote

import pcre2

from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import Mailbox, same_address, split_tag
from email_handler.mail.entities import unescape
from email_handler.mail.html import Page, read_page
from email_handler.mail.message import Message
from email_handler.mail.patterns import regex
from email_handler.spam.attached import attached_texts
from email_handler.spam.normalise import WINDOW, Seen, encodable, see, views_of
from email_handler.spam.rules import RuleSet, views

_BODY_END = 96 * 1024  # characters read from each end of a body for what its HTML shows and where its links lead
_MIDDLE = 64 * 1024  # characters from each end in which one more window is chosen
_TAGS = 10_000  # read from each end of HTML; long newsletters have two thousand in all
_ADDRESSES = 200  # web addresses read from the HTML's references, and as many from the text
_QUOTED_LINE = regex(r"(?m)^>.*\n?")
_REFERENCE = pcre2.compile(r"\b(?:src|action|background)\s*+=\s*+[\"']?+([^\"'\s>]++)", pcre2.IGNORECASE)
_BARE_ADDRESS = pcre2.compile(r"\b(?:https?://|www\.)[^\s<>\"']++", pcre2.IGNORECASE)
_SHOWN_HOST = regex(r"(?i)\s*+(?:https?://)?+((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24})(?:[/:?#]\S*+)?\s*+\Z")
_HOST = regex(r"(?i)\s*+https?://(?:[^/@\s]*+@)?+\[?+([^/:?#\]\s]++)")


class Content:
    """What the rules and signals of stage 3 read of a message."""

    def __init__(
        self, message: Message, rules: RuleSet, public_addresses: Sequence[EmailAddress], *, verified: bool = True
    ) -> None:
        self.message = message
        self.rules = rules
        self.public_addresses = public_addresses
        self.verified = verified
        self._views: dict[str, tuple[str, ...]] = {}

    @cached_property
    def candidates(self) -> Mapping[str, Sequence[str]]:
        """Return by the id of each rule that may match the views of its field that it may match."""
        found: dict[str, list[str]] = {}
        for field, rules in self.rules.by_field.items():
            seen = self._seen(field)
            sieve = self.rules.sieve(field) if self.rules.sieve_pays(field, seen) else None
            for view in seen:
                for rule in rules if sieve is None else sieve.may_match(view):
                    found.setdefault(rule, []).append(view)
        return found

    @cached_property
    def html(self) -> str:
        """Return both ends of the HTML body, with no more tags than are read."""
        html = self._html_ends
        if not self.too_many_tags:
            return html
        return "<".join(html.split("<", _TAGS)[:_TAGS]) + "\n<" + "<".join(html.rsplit("<", _TAGS)[1:])

    @cached_property
    def too_many_tags(self) -> bool:
        """Return whether tags of the HTML body are left out."""
        return self._html_ends.count("<") > 2 * _TAGS

    @cached_property
    def _html_ends(self) -> str:
        return _both_ends(self.message.html)

    @cached_property
    def page(self) -> Page:
        """Return what the HTML body shows, hides and links to."""
        known = self.message.page
        return known if known is not None and self.html == self.message.html else read_page(self.html)

    @cached_property
    def shown(self) -> str:
        """Return the HTML body's visible text, "" if it is the same as the plain text, which is searched anyway.

        Long texts are not compared: windows that are equal in both are searched only once in any case.
        """
        text, plain = self.page.text, self.message.text
        if not text or text == plain:
            return ""
        return "" if len(text) + len(plain) < _BODY_END and text.split() == plain.split() else text

    @cached_property
    def destinations(self) -> tuple[tuple[str, str], ...]:
        """Return for each link to the web the host that its text shows, "" if none, and the host it leads to."""
        web = [(_SHOWN_HOST.match(link.text), host) for link in self.page.links if (host := _HOST.match(link.href))]
        return tuple((shown.group(1).lower() if shown else "", host.group(1).lower()) for shown, host in web)

    @cached_property
    def urls(self) -> tuple[str, ...]:
        """Return every web address once, and its percent-decoded form if that differs."""
        found = [
            *(link.href for link in self.page.links),
            *(unescape(found.group(1)) for found in islice(_REFERENCE.finditer(self.html), _ADDRESSES)),
            *(found.group() for found in islice(_BARE_ADDRESS.finditer(_both_ends(self.message.text)), _ADDRESSES)),
        ]
        return tuple(dict.fromkeys([*found, *(unquote(url) for url in found if "%" in url)]))

    @cached_property
    def worded(self) -> tuple[str, Sequence[str]]:
        """Return what the model of words reads: the subject; and for each body the subject with it, without lines that
        are quoted, and the third window of a long one."""
        own = [_QUOTED_LINE.sub("", body) if "\n>" in body or body[:1] == ">" else body for body in self._bodies]
        seen = [
            known if text == body else see(self._with_subject(text))
            for text, body, known in zip(own, self._bodies, self._seen_bodies, strict=True)
        ]
        seen += self._seen_middles if own == self._bodies else map(see, filter(None, map(self._middle, own)))
        texts = [" ".join(one.normalised) for one in seen]
        return " ".join(see(self.message.subject).normalised), texts

    @cached_property
    def _bodies(self) -> Sequence[str]:
        """Return the texts of the message: its body, what its HTML shows if that differs, and attached pages."""
        return [body for body in (self.message.text, self.shown, *attached_texts(self.message)) if body] or [""]

    @cached_property
    def _seen_bodies(self) -> Sequence[Seen]:
        return [see(self._with_subject(body)) for body in self._bodies]

    @cached_property
    def _seen_middles(self) -> Sequence[Seen]:
        return [see(middle) for body in self._bodies if (middle := self._middle(body))]

    def _with_subject(self, body: str) -> str:
        return f"{self.message.subject}\n{body}"

    def _seen(self, field: str) -> tuple[str, ...]:
        if field not in self._views:
            if field == "text":  # the subject is part of both bodies, and is searched even without a body
                self._views[field] = tuple(dict.fromkeys(views_of([*self._seen_bodies, *self._seen_middles])))
            else:
                self._views[field] = views(field, *self._texts(field))
        return self._views[field]

    def _texts(self, field: str) -> tuple[str, ...]:
        message = self.message
        match field:
            case "subject":
                texts = [message.subject]
            case "html":
                texts = [message.html]
            case "urls":
                texts = ["\n".join(self.urls)]
            case "from":
                texts = ["\n".join(map(_spelled, message.from_))]
            case "reply-to":
                texts = ["\n".join(map(_spelled, message.reply_to))]
            case "attachment names":
                texts = ["\n".join(attachment.name for attachment in message.attachments)]
            case _:
                texts = ["\n".join(message.header_all(field.removeprefix("header ")))]
        return tuple(text for text in texts if text)

    def _middle(self, body: str) -> str:
        """Return one more window of a long body, between the two at its ends: the one that most rules may match.

        So padding on both sides hides nothing, and a long text does not sum up the points of all its parts.
        """
        if len(body) <= 2 * WINDOW:
            return ""
        body = encodable(body)
        ends = (body,) if len(body) <= 2 * _MIDDLE else (body[:_MIDDLE], body[-_MIDDLE:])
        windows = {end[at : at + WINDOW]: None for end in ends for at in range(0, len(end) - WINDOW // 2, WINDOW // 2)}
        sieve = self.rules.sieve("text")
        return max(windows, key=lambda window: len(sieve.may_match(window)))


def is_public(address: str, public_addresses: Sequence[EmailAddress]) -> bool:
    """Return whether *address* is a public address, ignoring case and the tag of ``contact+tag@``: SES delivers both
    to the same rule."""
    untagged, _ = split_tag(address)
    return any(same_address(public, address) or same_address(public, untagged) for public in public_addresses)


def _both_ends(text: str) -> str:
    return encodable(text if len(text) <= 2 * _BODY_END else f"{text[:_BODY_END]}\n{text[-_BODY_END:]}")


def _spelled(mailbox: Mailbox) -> str:
    return f"{mailbox.name} <{mailbox.address}>"
