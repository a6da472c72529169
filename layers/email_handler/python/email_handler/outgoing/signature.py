"""The signature below a reply: appended as text and as HTML, unless the owner's own is the same."""

import html
import re

from email_handler.mail.html import html_text
from email_handler.mail.new_text import new_text
from email_handler.mail.patterns import regex

_END = regex(r"</body\s*>|</html\s*>|\Z", re.IGNORECASE)
_RULE = " -_\u2013\u2014"  # what stands between an owner's words and their signature


def below_text(text: str, signature: str, *, flowed: bool) -> str:
    """Return the plain *text* of a reply with *signature* below it (RFC 3676 §4.3); *flowed* text stays that."""
    if not signature or _signed(text, "", signature):
        return text
    lines = signature.split("\n")
    if flowed:  # RFC 3676 §4.4: lines that would begin a quotation or lose a space
        lines = [f" {line}" if line.startswith((" ", ">")) else line for line in lines]
    return "\n".join((text.rstrip(), "", "-- ", *lines, ""))


def below_html(page: str, signature: str) -> str:
    """Return the HTML *page* of a reply with *signature* as a block at its end."""
    if not signature or _signed(html_text(page), page, signature):
        return page
    end = next(_END.finditer(page)).start()
    block = html.escape(signature).replace("\n", "<br>\r\n")
    return f'{page[:end]}<div style="margin-top:16px">--&nbsp;<br>\r\n{block}</div>\r\n{page[end:]}'


def _signed(text: str, page: str, signature: str) -> bool:
    """Return whether the owner's own words in *text* contain *signature* or are followed by it; what they quote, an
    earlier reply with the same signature perhaps, does not count."""
    wanted, own = _words(signature), _words(new_text(text, page))
    whole = _words("\n".join(line for line in text.splitlines() if not line.startswith(">")))
    at = whole.find(own)
    return wanted in own or (at >= 0 and whole[at + len(own) :].lstrip(_RULE).startswith(wanted))


def _words(text: str) -> str:
    return " ".join(text.split())
