"""The two lines that enclose everything we add to a forward, and how they are recognised again.

They are plain ASCII sentences: a client can quote, re-wrap, recode or restyle them and they are still there.
"""

import re

BEGIN = "[email-handler: only you see this]"
END = "[email-handler: their message follows]"

SENTINEL_START = "[email-"
"""Every sentinel holds this, in lower case, however it is wrapped."""


def _tolerant(line: str) -> str:
    return r"[\s>|]{0,40}".join(re.escape(word) for word in re.split(r" |(?<=-)", line))


SENTINEL = re.compile(f"(?P<begin>{_tolerant(BEGIN)})|(?P<end>{_tolerant(END)})", re.IGNORECASE)
"""Either sentinel, also when a client re-wrapped and quoted it."""


def defused(text: str) -> str:
    """Return *text* with any sentinel that a contact wrote made ordinary: theirs must neither pass for our banner
    nor make the reply lose what stands behind it."""
    return SENTINEL.sub(lambda match: "(" + match[0][1:-1] + ")", text)
