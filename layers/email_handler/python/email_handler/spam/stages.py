"""The three stages of the filter as pure functions: what SES found, who it is for, what it says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from html import unescape
from itertools import islice
from typing import Literal
from urllib.parse import unquote

import pcre2

from email_handler.conversations.disposition import Disposition, Outcome, Reason
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import Mailbox, address_domain, aligned, same_address, split_tag
from email_handler.mail.html import Page, read_page
from email_handler.mail.message import Message
from email_handler.senders.authentication import SenderVerification, SesReceipt
from email_handler.spam.normalise import WINDOW, encodable
from email_handler.spam.rules import Rule, RuleSet, views

_GRAVITY = (Outcome.DELIVER, Outcome.FLAG, Outcome.HOLD, Outcome.DROP)
_LIMITS_BEFORE_GIVING_UP = 5  # a rules file of nothing but stalling patterns costs a message this many limits

type Listed = Literal["", "allow", "block"]


def filter_message(
    message: Message,
    receipt: SesReceipt,
    verification: SenderVerification,
    rules: RuleSet,
    *,
    public_addresses: Sequence[EmailAddress],
    listed: Listed,
) -> Disposition:
    """Decide what becomes of *message* by all three stages and the operator's lists.

    Every stage runs and every reason is kept, so that the record can say what would have happened anyway; the gravest
    outcome wins. An allow-list entry counts for a verified sender only: it passes SES's spam verdict and stage 3,
    never the virus verdict. A block-list entry holds, verified or not.
    """
    allowed = listed == "allow" and verification.verified
    content = assess_content(message, rules, public_addresses=public_addresses)
    verdicts = [*_virus(receipt.virus), *_spam(receipt.spam), *_dmarc(receipt.dmarc, receipt.dmarc_policy)]
    judged = [*verdicts, *_recipient(receipt, public_addresses), *_list(listed, verification)]
    outcomes = [outcome for outcome, reason in judged if not (allowed and reason.rule.startswith("spam"))]
    if not allowed:
        outcomes.append(content.outcome)
    return Disposition(
        outcome=max(outcomes, key=_GRAVITY.index, default=Outcome.DELIVER),
        reasons=(*(reason for _, reason in judged), *content.reasons),
        score=content.score,
        rules_version=rules.version,
    )


def assess_content(message: Message, rules: RuleSet, *, public_addresses: Sequence[EmailAddress] = ()) -> Disposition:
    """Return stage 3 alone: the sum of the weights of what matched, against the set's two thresholds.

    A search that reaches a limit of PCRE2, and HTML of which tags are left out, flag the message at least, whatever
    its score.
    """
    content = _Content(message, rules, public_addresses)
    reasons = [
        Reason(stage="patterns", rule=signal.id, weight=signal.weight, detail=signal.purpose)
        for name, signal in rules.signals.items()
        if _SIGNALS[name](content)
    ]
    limits = 0
    if content.too_many_tags:
        limits += 1
        reasons.append(Reason(stage="limit", rule="html-tags", detail="more tags than are read at both ends"))
    for rule in rules.rules:
        try:
            if content.matches(rule):
                reasons.append(Reason(stage="patterns", rule=rule.id, weight=rule.weight, detail=rule.purpose))
        except pcre2.LibraryError:
            limits += 1
            reasons.append(Reason(stage="limit", rule=rule.id, detail="this rule's search was stopped at a limit"))
            if limits == _LIMITS_BEFORE_GIVING_UP:
                reasons.append(Reason(stage="limit", rule="given-up", detail="too many searches reached a limit"))
                break
    score = round(sum(reason.weight for reason in reasons), 3)
    outcome = (
        Outcome.HOLD if score >= rules.hold else Outcome.FLAG if score >= rules.flag or limits else Outcome.DELIVER
    )
    return Disposition(outcome=outcome, reasons=tuple(reasons), score=score, rules_version=rules.version)


# Stage 1. SES's verdicts are open strings; what is not known here counts as a scan that failed.

type _Judged = Iterator[tuple[Outcome, Reason]]


def _virus(verdict: str) -> _Judged:
    match verdict:
        case "PASS":
            return
        case "FAIL":
            yield Outcome.HOLD, _verdict("virus", "SES found a virus")
        case "DISABLED" | "":  # scanning is off, or the verdict is lost (a message taken up by the reconciler)
            yield Outcome.DELIVER, _verdict("virus-unscanned", "SES has not looked for viruses")
        case "GRAY":
            yield Outcome.FLAG, _verdict("virus-unsure", "SES is not sure that there is no virus")
        case _:
            yield Outcome.FLAG, _verdict("virus-scan-failed", "SES could not look for viruses")


def _spam(verdict: str) -> _Judged:
    match verdict:
        case "PASS":
            return
        case "FAIL":
            yield Outcome.HOLD, _verdict("spam", "SES takes it for spam")
        case "DISABLED" | "":
            yield Outcome.DELIVER, _verdict("spam-unscanned", "SES has not judged whether it is spam")
        case "GRAY":
            yield Outcome.FLAG, _verdict("spam-unsure", "SES is not sure that it is no spam")
        case _:  # stage 3 still judges it, and a failed scan says nothing about the sender
            yield Outcome.DELIVER, _verdict("spam-scan-failed", "SES could not judge whether it is spam")


def _dmarc(verdict: str, policy: str) -> _Judged:
    # PASS, GRAY (no policy), DISABLED, PROCESSING_FAILED and none at all neither hold nor prove (see prove_sender).
    if verdict == "FAIL" and policy.lower() in ("reject", "quarantine"):
        yield (
            Outcome.HOLD,
            _verdict("dmarc", "the sender's domain asks not to deliver mail that is not verified its own"),
        )


def _verdict(rule: str, detail: str) -> Reason:
    return Reason(stage="verdicts", rule=rule, detail=detail)


# Stage 2 and the lists.


def _recipient(receipt: SesReceipt, public_addresses: Sequence[EmailAddress]) -> _Judged:
    if receipt.recipients and not any(_is_ours(address, public_addresses) for address in receipt.recipients):
        yield Outcome.DROP, Reason(stage="recipient", rule="unknown-recipient", detail="none of its recipients is ours")


def _list(listed: Listed, verification: SenderVerification) -> _Judged:
    if listed == "block":
        yield Outcome.HOLD, Reason(stage="list", rule="blocked", detail="the operator blocks this sender")
    elif listed == "allow" and verification.verified:
        yield Outcome.DELIVER, Reason(stage="list", rule="allowed", detail="the operator allows this sender")
    elif listed == "allow":
        yield (
            Outcome.DELIVER,
            Reason(
                stage="list",
                rule="allowed-but-unverified",
                detail="the operator allows this sender, who is not verified",
            ),
        )


def _is_ours(address: str, public_addresses: Sequence[EmailAddress]) -> bool:
    """Compare without case and without the tag that SES delivers to the same rule (``contact+tag@``)."""
    untagged, _ = split_tag(address)
    return any(same_address(ours, address) or same_address(ours, untagged) for ours in public_addresses)


# Stage 3.

_BODY_END = 96 * 1024  # characters read from each end of a body for what its HTML shows and where it leads
_MIDDLE = 64 * 1024  # characters from each end in which one more window is chosen
_TAGS = 10_000  # read from each end of HTML; long newsletters have two thousand in all
_ADDRESSES = 200  # web addresses read from either
_REFERENCE = pcre2.compile(r"\b(?:src|action|background)\s*+=\s*+[\"']?+([^\"'\s>]++)", pcre2.IGNORECASE)
_BARE_ADDRESS = pcre2.compile(r"\b(?:https?://|www\.)[^\s<>\"']++", pcre2.IGNORECASE)


class _Content:
    """A message's fields as searches see them, each made at most once."""

    def __init__(self, message: Message, rules: RuleSet, public_addresses: Sequence[EmailAddress]) -> None:
        self.message = message
        self.rules = rules
        self.public_addresses = public_addresses
        self._views: dict[str, tuple[str, ...]] = {}

    def matches(self, rule: Rule) -> bool:
        """Search the rule's field, each window as received and as read. Raises :class:`pcre2.LibraryError`."""
        seen = self._sieved.get(rule.id, ()) if rule.field == "text" else self._seen(rule.field)
        return bool(seen) and any(map(rule.search, seen))

    def _seen(self, field: str) -> tuple[str, ...]:
        if field not in self._views:
            self._views[field] = views(field, *self._texts(field))
        return self._views[field]

    @cached_property
    def _sieved(self) -> dict[str, list[str]]:
        """Of each rule on text, the views that it can match."""
        sieved: dict[str, list[str]] = {}
        for view in self._seen("text"):
            for rule in self.rules.text_sieve.may_match(view):
                sieved.setdefault(rule, []).append(view)
        return sieved

    def _texts(self, field: str) -> tuple[str, ...]:
        message = self.message
        match field:
            case "subject":
                texts = [message.subject]
            case "text":  # the subject belongs to both bodies, and to neither where there is none
                bodies = [body for body in (message.text, self.shown) if body] or [""]
                texts = [*(f"{message.subject}\n{body}" for body in bodies), *map(self._middle, bodies)]
            case "html":
                texts = [message.html]
            case "urls":
                texts = ["\n".join(self.urls)]
            case "from":
                texts = ["\n".join(_mailbox(mailbox) for mailbox in message.from_)]
            case "reply-to":
                texts = ["\n".join(_mailbox(mailbox) for mailbox in message.reply_to)]
            case "attachment names":
                texts = ["\n".join(attachment.name for attachment in message.attachments)]
            case _:
                texts = ["\n".join(message.header_all(field.removeprefix("header ")))]
        return tuple(text for text in texts if text)

    def _middle(self, body: str) -> str:
        """Return, of a body longer than the two windows that are searched in any case, the one between that most rules
        can match: so padding on both sides hides nothing, and a long text does not add up what its parts say."""
        if len(body) <= 2 * WINDOW:
            return ""
        body = encodable(body)
        ends = (body,) if len(body) <= 2 * _MIDDLE else (body[:_MIDDLE], body[-_MIDDLE:])
        windows = {end[at : at + WINDOW]: None for end in ends for at in range(0, len(end) - WINDOW // 2, WINDOW // 2)}
        return max(windows, key=lambda window: len(self.rules.text_sieve.may_match(window)))

    @cached_property
    def html(self) -> str:
        html = _both_ends(self.message.html)
        if not self.too_many_tags:
            return html
        return "<".join(html.split("<", _TAGS)[:_TAGS]) + "\n<" + "<".join(html.rsplit("<", _TAGS)[1:])

    @cached_property
    def too_many_tags(self) -> bool:
        return _both_ends(self.message.html).count("<") > 2 * _TAGS

    @cached_property
    def page(self) -> Page:
        known = self.message.page
        return known if known is not None and self.html == self.message.html else read_page(self.html)

    @cached_property
    def shown(self) -> str:
        """The HTML body's visible text, "" where it says no more than the plain text that is searched anyway (of long
        ones nobody tells: what is the same in both is searched once in any case)."""
        text, plain = self.page.text, self.message.text
        if not text or text == plain:
            return ""
        return "" if len(text) + len(plain) < _BODY_END and text.split() == plain.split() else text

    @cached_property
    def destinations(self) -> tuple[tuple[str, str], ...]:
        """Of each link to the web: the host it shows, "" where it shows none, and the host it leads to."""
        led = [(link.text, found.group(1)) for link in self.page.links if (found := _HOST.match(link.href))]
        shown = [_SHOWN_HOST.match(text) for text, _ in led]
        return tuple(
            (found.group(1).lower() if found else "", host.lower()) for found, (_, host) in zip(shown, led, strict=True)
        )

    @cached_property
    def urls(self) -> tuple[str, ...]:
        """Every web address, percent-decoded too where that makes a difference, without repetition."""
        found = [
            *(link.href for link in self.page.links),
            *(unescape(found.group(1)) for found in islice(_REFERENCE.finditer(self.html), _ADDRESSES)),
            *(found.group() for found in islice(_BARE_ADDRESS.finditer(_both_ends(self.message.text)), _ADDRESSES)),
        ]
        return tuple(dict.fromkeys([*found, *(unquote(url) for url in found if "%" in url)]))


def _both_ends(text: str) -> str:
    return encodable(text if len(text) <= 2 * _BODY_END else f"{text[:_BODY_END]}\n{text[-_BODY_END:]}")


def _mailbox(mailbox: Mailbox) -> str:
    return f"{mailbox.name} <{mailbox.address}>"


def _display_name_is_ours(content: _Content) -> bool:
    """Tell whether somebody else's display name holds an address of ours (not knowing ours: of a recipient)."""
    message = content.message
    ours = [*content.public_addresses] or [mailbox.address for mailbox in (*message.to, *message.cc)]
    return any(
        address.lower() in mailbox.name.lower() and not _is_ours(mailbox.address, ours)
        for mailbox in message.from_
        for address in ours
        if "@" in address
    )


def _reply_to_elsewhere(content: _Content) -> bool:
    """Tell whether no Reply-To address lies in the organisational domain of a From address."""
    senders, replies = content.message.from_, content.message.reply_to
    return bool(senders and replies) and not any(
        aligned(address_domain(reply.address), address_domain(sender.address))
        for reply in replies
        for sender in senders
    )


def _reply_to_free_mail(content: _Content) -> bool:
    """Tell whether the answer shall go to a free mailbox and the mail comes from somewhere else."""
    senders = {address_domain(sender.address) for sender in content.message.from_}
    replies = {address_domain(reply.address) for reply in content.message.reply_to}
    return bool(senders) and bool(replies & _FREE_MAIL) and not replies & senders


# fmt: off
_FREE_MAIL = frozenset((
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "yahoo.co.uk",
    "yahoo.co.jp", "yahoo.fr", "aol.com", "icloud.com", "proton.me", "protonmail.com", "gmx.com", "gmx.de",
    "gmx.net", "web.de", "mail.com", "mail.ru", "bk.ru", "inbox.ru", "list.ru", "yandex.com", "yandex.ru",
    "rambler.ru", "qq.com", "163.com", "126.com", "sina.com", "naver.com", "daum.net", "libero.it", "laposte.net",
    "orange.fr", "free.fr", "uol.com.br", "bol.com.br", "terra.com.br", "zohomail.com", "zoho.com", "tutanota.com",
    "excite.com", "lycos.com", "juno.com",
))
# fmt: on

_SHOWN_HOST = pcre2.compile(r"^\s*+(?:https?://)?+((?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24})(?:[/:?#]\S*+)?\s*+$", pcre2.I)
_HOST = pcre2.compile(r"^\s*+https?://(?:[^/@\s]*+@)?+\[?+([^/:?#\]\s]++)", pcre2.I)


def _link_elsewhere(content: _Content) -> bool:
    """Tell whether a link shows one web address and leads to another organisation's. The sender's own address may be
    shown: newsletters count clicks on the way to it."""
    senders = [address_domain(sender.address) for sender in content.message.from_]
    return any(
        shown and not any(aligned(shown, domain) for domain in (host, *senders)) for shown, host in content.destinations
    )


def _links_lead_away(content: _Content) -> bool:
    """Tell whether links that do not show where they lead do, and not one of all links leads to the sender's
    organisation or to the recipient's."""
    message = content.message
    if all(shown for shown, _ in content.destinations):
        return False
    hosts = {host for _, host in content.destinations}
    known = {address_domain(mailbox.address) for mailbox in (*message.from_, *message.to, *message.cc)}
    known |= {address_domain(address) for address in content.public_addresses}
    return not any(aligned(host, domain) for host in hosts for domain in known)


# A picture from the web that is meant to be seen: no tracking pixel, no logo that came with the mail.
_PICTURE = pcre2.compile(
    r"<img\b(?=[^>]*?\bsrc\s*+=\s*+[\"']?+https?:)(?![^>]*?\b(?:width|height)\s*+=\s*+[\"']?+[0-5](?!\d))",
    pcre2.IGNORECASE,
)


def _all_image(content: _Content) -> bool:
    """Tell whether the HTML shows at least one picture and hardly any text."""
    if not content.page.images or len(content.page.text) > 200:  # noqa: PLR2004 - two lines of text
        return False
    return bool(_PICTURE.search(content.html))


def _hidden_text(content: _Content) -> bool:
    """Tell whether the HTML holds more text than a preview line that is styled not to be shown."""
    return len(content.page.hidden) > 300  # noqa: PLR2004 - preview lines of newsletters are shorter


def _executable_content(content: _Content) -> bool:
    """Tell whether an attachment is a Windows or Linux program by its first bytes, whatever its name."""
    return any(attachment.payload[:4].startswith((b"MZ", b"\x7fELF")) for attachment in content.message.attachments)


_SIGNALS: Mapping[str, Callable[[_Content], bool]] = {
    "all-image": _all_image,
    "display-name-is-ours": _display_name_is_ours,
    "executable-content": _executable_content,
    "hidden-text": _hidden_text,
    "link-elsewhere": _link_elsewhere,
    "links-lead-away": _links_lead_away,
    "reply-to-elsewhere": _reply_to_elsewhere,
    "reply-to-free-mail": _reply_to_free_mail,
}
