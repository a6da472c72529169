"""Runs of digits in a text: which are read, and what they hold."""

import base64
import binascii
import gzip
import re
from collections.abc import Callable

import pytest

from email_handler.outgoing.leak_gate import packed


@pytest.mark.parametrize("encode", [base64.b64encode, base64.b32encode, binascii.hexlify])
def test_a_run_that_holds_as_few_bytes_as_asked_for_is_read_and_no_shorter_one(
    encode: Callable[[bytes], bytes],
) -> None:
    text = b"text of 21 bytes, so."
    digits = encode(text).decode()

    for before in ("", "/", "//", "///"):
        assert any(text in content for content in packed.unpacked(before + digits.rstrip("="), 21))
    assert not any(text in content for content in packed.unpacked(digits, 22))


def test_a_file_of_as_few_bytes_as_asked_for_is_decoded_and_no_shorter_one() -> None:
    digits = base64.b64encode(b"eighteen bytes ...").decode()

    assert list(packed.files(digits, 18)) == [b"eighteen bytes ..."]
    assert list(packed.files(digits, 19)) == []


def test_zeros_part_the_contents_of_two_runs() -> None:
    runs = " (and) ".join(base64.b64encode(text).decode() for text in (b"the first of two..", b"the second of two."))

    wholes = [content.strip(b"\0") for content in packed.unpacked(runs, 18) if b"first" in content]

    assert [re.sub(b"\0{3,}", b"|", whole) for whole in wholes] == [b"the first of two..|the second of two."]


def test_a_file_in_a_links_path_is_decoded() -> None:
    file = gzip.compress(b"some text", mtime=0)
    link = "https://host.example/path/to/" + base64.urlsafe_b64encode(file).decode().rstrip("=")

    assert file in list(packed.files(link, 9))


def test_only_the_lines_behind_begin_are_decoded() -> None:
    file = gzip.compress(b"some text", mtime=0)

    assert list(packed.uuencoded(f"begin 644 a.gz\n{binascii.b2a_uu(file).decode()}`\nend\n")) == [file]


@pytest.mark.parametrize("written", [r"\n", r"\r\n", "%0A", "%0d%0a", "&#10;", "&#xD;\n", "\r\n"])
def test_a_run_goes_on_behind_a_line_break_however_it_is_written(written: str) -> None:
    text = b"some text that takes two lines of digits"
    digits = base64.b64encode(text).decode()

    assert any(text in content for content in packed.unpacked(digits[:20] + written + digits[20:], len(text)))
    assert list(packed.files(digits[:20] + written + digits[20:], 9)) == [text]


def test_digits_of_bytes_go_on_behind_a_continued_line() -> None:
    text = "a value of the registry".encode("utf-16-le")
    lines = ",\\\r\n  ".join(text[at : at + 20].hex(",") for at in range(0, len(text), 20))

    assert any(text in content for content in packed.unpacked(f'"name"=hex(1):{lines}\r\n', len(text)))


@pytest.mark.parametrize(("slash", "plus"), [("%2F", "%2b"), (r"\/", "+")])
def test_digits_may_be_escaped(slash: str, plus: str) -> None:
    content = bytes.fromhex("fbefbe") * 9 + bytes.fromhex("ffffff") * 9  # "+" and "/" alone
    digits = base64.b64encode(content).decode().replace("/", slash).replace("+", plus)

    assert content in list(packed.files(f"d={digits}%3D", 9))
