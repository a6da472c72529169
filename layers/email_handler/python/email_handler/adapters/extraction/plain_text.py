"""Whether bytes are text, and in which charset."""

import re

from chardetng_py import EncodingDetector

from email_handler.mail.charsets import codec_name, decode, marked_codec
from email_handler.mail.patterns import regex

_DECLARED = regex(rb"""(?:charset|encoding)\s{0,9}=\s{0,9}["']?([\w.:-]{2,40})""")
_ISO_2022 = regex(rb"\x1b[$(]")  # a shift to another set (RFC 1468), in what is otherwise ASCII
_HEAD = 1024  # bytes in which HTML declares its charset (WHATWG HTML §13.2.3.2)
_SAMPLE = 256 * 1024  # bytes that decide about charset and text
_CONTROLS = bytes({*range(32), 127} - set(b"\b\t\n\v\f\r\x1a\x1b"))  # those that no text has, NUL among them
_CONTROL_CHARACTERS = regex(f"[{re.escape(_CONTROLS.decode())}]")
_CHARACTERS_PER_CONTROL = 1000  # a log of a terminal has some


def plain_text(payload: bytes, charset: str) -> str | None:
    """Return *payload* as text, None if it is something else. *charset* is what its part declares, "" if nothing.

    In this order: a byte order mark, the declared charset if it fits, UTF-16 by its pattern of NULs, the charset that
    a web page or XML declares itself, UTF-8, and what Firefox's detector finds most likely.
    """
    if codec := marked_codec(payload):
        return _text(decode(payload, codec))
    if charset and (text := _strictly(payload, charset)) is not None:
        return text
    if codec := _utf_16(payload[:_SAMPLE]):
        return _text(decode(payload, codec))
    controls = len(payload) - len(payload.translate(None, _CONTROLS))
    if b"\0" in payload or controls * _CHARACTERS_PER_CONTROL > len(payload):
        return None
    return _bytewise(payload)


def _bytewise(payload: bytes) -> str:
    if (declared := _DECLARED.search(payload[:_HEAD])) and payload.lstrip()[:1] == b"<":
        text = _strictly(payload, declared[1].decode("ascii"))
        if text is not None:
            return text
    if _is_utf_8(payload) and not (payload.isascii() and _ISO_2022.search(payload)):
        return payload.decode()
    return decode(payload, _guess(payload[:_SAMPLE]))


def _strictly(payload: bytes, charset: str) -> str | None:
    """Return *payload* if it is valid text in *charset*, else None."""
    codec = codec_name(charset)
    try:
        text = payload.decode(codec) if codec else None
    except ValueError:  # UnicodeError, or what some codecs raise instead
        return None
    if text is None or (len(text) == len(payload) and not payload.isascii() and _is_utf_8(payload)):
        return None  # every byte is valid in a charset of single bytes, but only UTF-8 looks like UTF-8
    return _text(text)


def _is_utf_8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(decoded: str) -> str | None:
    controls = len(_CONTROL_CHARACTERS.findall(decoded[:_SAMPLE]))
    return None if controls * _CHARACTERS_PER_CONTROL > len(decoded) else decoded.removeprefix("\ufeff")


def _utf_16(sample: bytes) -> str:
    """Return the UTF-16 codec of a *sample* without a byte order mark, "" if it is not UTF-16.

    Every script has spaces or line ends: 00 20 or 20 00. The wrong byte order turns them into U+2000 and U+0A00.
    """
    even, odd = sample[0::2], sample[1::2]
    for codec, high, low in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        common = sum(1 for first, second in zip(high, low, strict=False) if first == 0 and second in b" \t\r\n")
        if common * 50 > len(high) and low.count(0) * 50 < len(low):
            return codec
    return ""


def _guess(sample: bytes) -> str:
    detector = EncodingDetector()
    detector.feed(sample, last=True)
    return str(detector.guess(tld=None, allow_utf8=False))
