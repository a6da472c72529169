"""Whether bytes are text, and text that is not written in ASCII's bytes: in UTF-16 or UTF-32, recognised by its
mark or by its zeros, and XML in EBCDIC, which names its encoding."""

import re

from email_handler.mail.charsets import codec_name, decode, marked_codec
from email_handler.mail.patterns import regex

_SAMPLE = 4096  # bytes that show whether a file is text
_NO_TEXT = bytes((*range(7), *range(14, 27), *range(28, 32)))
_STRAY = 0.05  # of the bytes of a text are control characters at the most; of those of packed data a tenth are
_MOST = 0.3  # of the bytes of a file that is no text in UTF-16 are zeros
_PACKED = regex(rb"(?:\xd9\xd9\xf7)?[\x80-\xbf][`-\xbf\xd9-\xdb].{6}", re.DOTALL)
"""How CBOR (RFC 8949 §3) and MessagePack begin: with an array or a map, and a string in it. A string's length may look
like a letter of the address behind it."""


_BEGINNING = "<?xml"
_EBCDIC_XML = _BEGINNING.encode("cp037")  # the same in every EBCDIC (XML appendix F.1)
_META = regex(rb"""<meta\s[^>]{0,200}charset\s{0,9}=\s{0,9}["']?([A-Za-z0-9._:-]{1,40})""", re.IGNORECASE)
_XML = regex(rb"""\s{0,9}<\?xml\s[^>]{0,99}encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9._-]{1,40})""")


def is_binary(content: bytes) -> bool:
    """Return whether *content* begins as no text does."""
    return _share_of_no_text(content) > 0 or _PACKED.match(content) is not None


def is_surely_binary(content: bytes) -> bool:
    """Return whether *content* is no text even if somebody says so: a text may have a few stray control characters."""
    return _share_of_no_text(content) > _STRAY


def _share_of_no_text(content: bytes) -> float:
    start = content[:_SAMPLE]
    return 1 - len(start.translate(None, _NO_TEXT)) / len(start) if start else 0


def as_utf8(content: bytes) -> bytes:
    """Return *content* in UTF-8 if it is text in UTF-16, UTF-32 or EBCDIC, else as it is."""
    sample = content[:_SAMPLE]
    if codec := marked_codec(content) or _codec_by_zeros(sample) or _codec_of_ebcdic(sample):
        return decode(content, codec).encode()
    return content


def _codec_by_zeros(sample: bytes) -> str:
    if sample.count(0) > len(sample) * _MOST:
        for codec, width, at in (("utf-16-le", 2, 0), ("utf-16-be", 2, 1), ("utf-32-le", 4, 0), ("utf-32-be", 4, 3)):
            if not is_binary(sample[at::width]):
                return codec
    return ""


def _codec_of_ebcdic(sample: bytes) -> str:
    if not sample.startswith(_EBCDIC_XML):
        return ""
    declared = declared_charset(sample.decode("cp037").encode())  # a declaration is the same in every EBCDIC
    codec = codec_name(declared) if declared else "cp037"
    return codec if codec and _BEGINNING.encode(codec, "replace") == _EBCDIC_XML else ""


def declared_charset(content: bytes) -> str:
    """Return the charset that a page or an XML document says it is in (HTML §13.2.3.2, XML §4.3.3), "" if none."""
    sample = content[:_SAMPLE]
    found = _XML.match(sample) or _META.search(sample)
    return found[1].decode("ascii") if found else ""


def is_unknown_ebcdic(content: bytes) -> bool:
    """Return whether *content* is XML in an EBCDIC that it does not name, in which "@" may be any byte."""
    return content.startswith(_EBCDIC_XML) and not _codec_of_ebcdic(content[:_SAMPLE])
