"""The two lines that enclose everything we add to a forward, and how they are recognised in a reply.

They are plain ASCII sentences, so that they survive a client that quotes, re-wraps, recodes or restyles them.
"""

import re

BEGIN = "[email-handler: only you see this]"
END = "[email-handler: their message follows]"

SENTINEL_START = "[email-"
"""Every sentinel holds this in its lower-case form, however it is wrapped."""


def _tolerant(line: str) -> str:
    return r"[\s>|]{0,40}".join(re.escape(word) for word in re.split(r" |(?<=-)", line))


SENTINEL = re.compile(f"(?P<begin>{_tolerant(BEGIN)})|(?P<end>{_tolerant(END)})", re.IGNORECASE)
"""Either sentinel, even if a client re-wrapped and quoted it."""


def defused(text: str) -> str:
    """Return *text* with each sentinel in round brackets, so that it is none.

    What a contact writes must neither pass for our banner nor make the reply lose the text behind it.
    """
    return SENTINEL.sub(lambda match: "(" + match[0][1:-1] + ")", text)
