"""How the systems that check mail rewrite its links and addresses."""

import re
from collections.abc import Iterator
from itertools import islice

from email_handler.mail.encodings import decode_base64
from email_handler.mail.patterns import regex

LINK = regex(r"/v3/__((?:[^\s\"'<>_/]++|_(?!_;)|/(?!v3/__))++)__;([A-Za-z0-9_=-]*+)!")
"""Proofpoint's third form of a link: each ``*`` stands for a character that is given in base64 behind the link, ``**``
and a letter for several."""
_STARS = regex(r"\*(?:\*([A-Za-z0-9_-]))?")
_ONE = regex(r"\*()")
_COUNTS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"  # from two on


def original(token: str) -> str:
    """Return the link that *token*, a match of :data:`LINK`, was made of."""
    link = LINK.match(token)
    if link is None:
        return token
    encoded = link[2].rstrip("=").replace("-", "+").replace("_", "/")
    characters = decode_base64(encoded.encode())[0].decode("utf-8", "replace")
    ways = (_STARS, _ONE) if link[1].count("*") == len(characters) else (_STARS,)
    return f"/{' '.join(dict.fromkeys(_put_back(characters, way, link[1]) for way in ways))} "


def _put_back(characters: str, stars: re.Pattern[str], url: str) -> str:
    left = iter(characters)
    return stars.sub(lambda star: _next(star, left), url)


def _next(star: re.Match[str], left: Iterator[str]) -> str:
    """Return the characters of *left* that *star* stands for, or itself if none is left."""
    return "".join(islice(left, _COUNTS.index(star[1]) + 2 if star[1] else 1)) or star[0]
