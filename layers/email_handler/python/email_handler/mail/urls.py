"""Addresses in HTML and CSS that a client may follow or load."""

import re

from email_handler.mail.patterns import regex

_IGNORED = regex(r"[\x00-\x20\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]+")
_LINK = regex(r"(?:https?|mailto|tel|sms|geo):|#", re.IGNORECASE)
_PICTURE = regex(r"https?://|cid:|data:image/(?:png|gif|jpe?g|webp|bmp);base64,", re.IGNORECASE)
_ESCAPED = {ord(mark): f"%{ord(mark):02X}" for mark in "\"'()\\<>`"}


def link_url(url: str) -> str:
    """Return *url* if a link may lead there, else "": no script, file, or page of the client's own."""
    kept = _IGNORED.sub("", url)
    return kept if _LINK.match(kept) else ""


def picture_url(url: str) -> str:
    """Return *url*, safe in quotes of any kind, if a picture may be loaded from there, else ""."""
    kept = _IGNORED.sub("", url)
    return kept.translate(_ESCAPED) if _PICTURE.match(kept) else ""
