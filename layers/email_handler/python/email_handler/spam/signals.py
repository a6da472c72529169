"""The signals: what stage 3 sees in a message besides matches of patterns. Their weights are in the rules document."""

from collections.abc import Callable, Mapping

import pcre2

from email_handler.mail.addresses import address_domain, aligned
from email_handler.spam.content import Content, is_public

_ALMOST_NO_TEXT = 200  # characters: two lines
_MORE_THAN_A_PREVIEW = 300  # characters: hidden preview lines of newsletters are shorter

_FREE_MAIL = frozenset((
    "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com", "yahoo.com", "yahoo.co.uk",
    "yahoo.co.jp", "yahoo.fr", "aol.com", "icloud.com", "proton.me", "protonmail.com", "gmx.com", "gmx.de",
    "gmx.net", "web.de", "mail.com", "mail.ru", "bk.ru", "inbox.ru", "list.ru", "yandex.com", "yandex.ru",
    "rambler.ru", "qq.com", "163.com", "126.com", "sina.com", "naver.com", "daum.net", "libero.it", "laposte.net",
    "orange.fr", "free.fr", "uol.com.br", "bol.com.br", "terra.com.br", "zohomail.com", "zoho.com", "tutanota.com",
    "excite.com", "lycos.com", "juno.com",
))  # fmt: skip

# A picture from the web that is meant to be seen: not a tracking pixel, not a logo attached to the message.
_PICTURE = pcre2.compile(
    r"<img\b(?=[^>]*?\bsrc\s*+=\s*+[\"']?+https?:)(?![^>]*?\b(?:width|height)\s*+=\s*+[\"']?+[0-5](?!\d))",
    pcre2.IGNORECASE,
)


def _all_image(content: Content) -> bool:
    """Return whether the HTML shows at least one picture and hardly any text."""
    if not content.page.images or len(content.page.text) > _ALMOST_NO_TEXT:
        return False
    return bool(_PICTURE.search(content.html))


def _display_name_is_ours(content: Content) -> bool:
    """Return whether someone else's display name contains a public address (if those are unknown, a recipient's)."""
    message = content.message
    public = [*content.public_addresses] or [mailbox.address for mailbox in (*message.to, *message.cc)]
    return any(
        address.lower() in mailbox.name.lower() and not is_public(mailbox.address, public)
        for mailbox in message.from_
        for address in public
        if "@" in address
    )


def _executable_content(content: Content) -> bool:
    """Return whether an attachment is a Windows or Linux program by its first bytes, whatever its name."""
    return any(attachment.payload[:4].startswith((b"MZ", b"\x7fELF")) for attachment in content.message.attachments)


def _hidden_text(content: Content) -> bool:
    """Return whether the HTML has more text than a preview line that is styled to be invisible."""
    return len(content.page.hidden) > _MORE_THAN_A_PREVIEW


def _link_elsewhere(content: Content) -> bool:
    """Return whether a link shows one web address and leads to another organisation's.

    The sender's own address may be shown: newsletters count clicks on the way to it.
    """
    senders = [address_domain(sender.address) for sender in content.message.from_]
    return any(
        shown and not any(aligned(shown, domain) for domain in (host, *senders)) for shown, host in content.destinations
    )


def _links_lead_away(content: Content) -> bool:
    """Return whether some links do not show where they lead, and no link leads to the sender's or the recipient's
    organisation."""
    message = content.message
    if all(shown for shown, _ in content.destinations):
        return False
    hosts = {host for _, host in content.destinations}
    known = {address_domain(mailbox.address) for mailbox in (*message.from_, *message.to, *message.cc)}
    known |= {address_domain(address) for address in content.public_addresses}
    return not any(aligned(host, domain) for host in hosts for domain in known)


def _not_verified(content: Content) -> bool:
    """Return whether SES could not verify the sender."""
    return not content.verified


def _reply_to_free_mail(content: Content) -> bool:
    """Return whether replies go to a free mailbox, and the message comes from elsewhere."""
    senders = {address_domain(sender.address) for sender in content.message.from_}
    replies = {address_domain(reply.address) for reply in content.message.reply_to}
    return bool(senders) and bool(replies & _FREE_MAIL) and not replies & senders


SIGNALS: Mapping[str, Callable[[Content], bool]] = {
    "all-image": _all_image,
    "display-name-is-ours": _display_name_is_ours,
    "executable-content": _executable_content,
    "hidden-text": _hidden_text,
    "link-elsewhere": _link_elsewhere,
    "links-lead-away": _links_lead_away,
    "not-verified": _not_verified,
    "reply-to-free-mail": _reply_to_free_mail,
}
"""By the ids that :data:`.rules.SIGNALS` allows in a rules document."""
