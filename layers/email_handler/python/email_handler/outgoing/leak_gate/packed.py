"""Text that carries bytes: base64, hexadecimal and uuencoded runs, as keys, links and some clients have them."""

import re
from collections.abc import Iterator

from email_handler.mail.encodings import decode_base64, decode_uuencoded_line

_FOLD = r"(?:\r?\n[>| \t]{0,20}+"
_BASE64 = re.compile(rf"[A-Za-z0-9+/_-]{{8,}}+{_FOLD}[A-Za-z0-9+/_-]{{2,}}+)*+")  # quoted or folded too
_HEX = re.compile(rf"[0-9A-Fa-f]{{16,}}+{_FOLD}[0-9A-Fa-f]{{2,}}+)*+")
_NO_DIGITS = re.compile(r"[\s>|]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_LONG = 24  # digits: a run of as many can be a file with an address in it
_UUENCODED = re.compile(r"^begin [0-7]{3,4} [^\r\n]{1,200}\r?\n(?:[!-`][ -`]{1,80}\r?\n)++", re.MULTILINE)
_APART = ("AAAA", "AAAAAAA", "AAAAAA", "AAAAA")  # by a run's length: fills it up and decodes to three zeros


def unpacked(text: str, least: int) -> Iterator[bytes]:
    """Yield what the runs of base64 and hexadecimal in *text* hold, at every alignment, zeros between two runs.

    Runs that hold fewer than *least* bytes are left out.
    """
    if runs := _runs(_BASE64, text, least * 4 // 3):
        for shift in range(4):  # a link's path may precede the run
            yield _decoded("".join([run[shift:] + _APART[(len(run) - shift) % 4] for run in runs]))
    if digits := _runs(_HEX, text, least * 2):
        for shift in range(2):
            yield bytes.fromhex("".join([run[shift:] + "0" * ((len(run) - shift) % 2) + "00" for run in digits]))


def _runs(pattern: re.Pattern[str], text: str, least: int) -> list[str]:
    found = [run for run in pattern.findall(text) if len(run) >= least]
    return [_NO_DIGITS.sub("", run) if "\n" in run else run for run in found]


def files(text: str) -> Iterator[bytes]:
    """Yield each run of *text* that may be a file, decoded: base64, hexadecimal."""
    for run in _BASE64.finditer(text):
        if run.end() - run.start() < _LONG:
            continue
        digits = _NO_DIGITS.sub("", run[0])
        if re.fullmatch("[0-9A-Fa-f]+", digits) and len(digits) % 2 == 0:
            yield bytes.fromhex(digits)
        yield _single(digits)
        start = digits.find("/", 0, 200) + 1  # a link's path, or "image/png;base64,/"
        if start and (rest := digits[start:]):
            yield _single(rest)


def uuencoded(text: str) -> Iterator[bytes]:
    """Yield each uuencoded file in *text*, decoded; a damaged line costs itself alone."""
    for block in _UUENCODED.finditer(text):
        lines = block[0].encode("ascii", "replace").splitlines()[1:]
        yield b"".join(map(decode_uuencoded_line, lines))


def _single(digits: str) -> bytes:
    return _decoded(digits[: -1 if len(digits) % 4 == 1 else None] + "=" * (-len(digits) % 4))


def _decoded(digits: str) -> bytes:
    return decode_base64(digits.encode().translate(_URL_SAFE))[0]
