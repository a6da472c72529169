"""Decoding bytes to text, whatever charset a message declares. Nothing raises, no text is lost."""

import codecs
from functools import lru_cache

from email_handler.mail.patterns import regex

# Declared charset to Python codec. A superset replaces the set that it extends, as in browsers (WHATWG Encoding
# §4.2): senders label windows-1252 as iso-8859-1, GBK as gb2312, and so on. Keys are lower-case letters and digits.
_CODECS = {
    "ansix341968": "ascii",
    "ansix31101983": "ascii",
    "ascii": "ascii",
    "big5": "big5hkscs",
    "big5eten": "big5hkscs",
    "cngb": "gb18030",
    "cp850": "cp850",
    "dos850": "cp850",
    "eucjp": "euc_jp",
    "euckr": "cp949",
    "gb2312": "gb18030",
    "gb231280": "gb18030",
    "gbk": "gb18030",
    "hebrew": "cp1255",
    "iso10646": "utf-8",
    "iso10646ucs2": "utf-16",
    "iso2022jp": "iso2022_jp_ext",
    "iso2022jpesc": "iso2022_jp_ext",
    "iso2022jpms": "iso2022_jp_ext",
    "iso88591": "cp1252",
    "iso885911": "cp874",
    "iso88598e": "iso8859_8",
    "iso88598i": "iso8859_8",
    "iso88599": "cp1254",
    "koi8": "koi8_r",
    "ksc5601": "cp949",
    "ksc56011987": "cp949",
    "latin1": "cp1252",
    "macintosh": "mac_roman",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "tis620": "cp874",
    "unicode": "utf-16",
    "unicode11utf7": "utf-7",
    "unicode11utf8": "utf-8",
    "unicode20utf8": "utf-8",
    "usascii": "ascii",
    "utf8": "utf-8",
    "utf8mb4": "utf-8",
    "windows31j": "cp932",
    "windows874": "cp874",
    "windows936": "gb18030",
    "windows949": "cp949",
}

# Python codecs that are not charsets: some take quadratic time (punycode), some produce surrogates.
_NOT_CHARSETS = frozenset(
    (
        "idna", "mbcs", "oem", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-8-sig",
    )
)  # fmt: skip
_MARKS = (  # the four-byte ones first: one of them begins with a two-byte one
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8"),
)  # fmt: skip
_SURROGATES = regex("[\ud800-\udfff]")
_ASCII = bytes(range(32, 127))
_NOISE = regex(r"[^a-z0-9]")
_MAX_NAME = 100  # characters read of a charset name; the longest registered one has 45
_PER_ERROR = 10  # non-ASCII bytes for each undecodable one; with fewer, the declared charset is wrong


@lru_cache(maxsize=512)
def codec_name(charset: str) -> str:
    """Return the name of the Python codec for *charset* as a message declares it, "" if unknown.

    Quotes and the prefixes ``3D`` (from quoted-printable), ``x-`` and ``charset=`` are ignored.
    """
    name = _NOISE.sub("", charset[:_MAX_NAME].lower())
    candidates = [name, name.removeprefix("charset"), name.removeprefix("3d"), name.removeprefix("x")]
    for candidate in candidates:
        if candidate in _CODECS:
            return _CODECS[candidate]
    windows = name.removeprefix("x").removeprefix("windows").removeprefix("cp").removeprefix("win").removeprefix("ibm")
    for spelled in (charset[:_MAX_NAME].strip(" \t\"'").lower(), *candidates[1:], f"cp{windows}"):
        try:
            name = codecs.lookup(spelled).name  # noqa: TID251 - the one safe place
            " ".encode(name)  # LookupError if it is a bytes-to-bytes codec such as "hex"
        except Exception:  # noqa: BLE001, S112 - codecs are modules found by name: they may raise anything
            continue
        if name not in _NOT_CHARSETS:
            return name
    return ""


def extends_ascii(charset: str) -> bool:
    """Return whether *charset* is a superset of ASCII: decoding by UTF-16, for example, would hide every field."""
    return _by_codec(_ASCII, codec_name(charset) or "ascii") == _ASCII.decode("ascii")


def marked_codec(payload: bytes) -> str:
    """Return the codec that the byte order mark at the start of *payload* names, "" if it has none."""
    return next((codec for mark, codec in _MARKS if payload.startswith(mark)), "")


def decode(payload: bytes, charset: str) -> str:
    """Return *payload* decoded by *charset* if that is known and fits, else as UTF-8 if valid, else as windows-1252.

    NULs and a byte order mark are removed; the text contains no surrogates.
    """
    text = _decode(payload, codec_name(charset) if charset else "")
    if text[:1] == "\ufeff":
        text = text[1:]
    return text.replace("\0", "") if "\0" in text else text


def _decode(payload: bytes, codec: str) -> str:
    if payload.isascii() and not codec.startswith(("utf-16", "utf-32", "utf-7", "iso2022", "hz", "cp037", "cp500")):
        return payload.decode("ascii")
    if codec and (text := _by_codec(payload, codec)) is not None:
        return text
    try:
        return payload.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if codec and codec != "cp1252" and (text := _by_codec(payload, codec, "replace")) is not None:
        non_ascii = len(payload) - len(payload.translate(None, bytes(range(128, 256))))
        if text.count("\ufffd") * _PER_ERROR <= non_ascii:
            return text
    return payload.decode("cp1252", "replace")


def _by_codec(payload: bytes, codec: str, errors: str = "strict") -> str | None:
    """Return *payload* decoded by *codec*, without surrogates; None if that fails, in whatever way."""
    try:
        text = payload.decode(codec, errors)
    except Exception:  # noqa: BLE001 - codecs raise UnicodeError, and others as they please
        return None
    return _SURROGATES.sub("\ufffd", text) if codec == "utf-7" or errors == "replace" else text
