"""Patterns that are compiled when they are first used: all of them can be, and importing compiles none."""

import gc
import pkgutil
import re
import subprocess
import sys
from importlib import import_module

import pytest

import email_handler
from email_handler.mail.patterns import Regex, regex
from tests.conftest import PROJECT

UNCOMPILED = """
import gc, pkgutil, re, sys
sys.path.insert(0, "layers/email_handler/python")
import email_handler
from email_handler.mail.patterns import Regex
for each in pkgutil.walk_packages(email_handler.__path__, "email_handler."):
    __import__(each.name)
print(sorted(each.pattern for each in gc.get_objects() if isinstance(each, Regex) and "compiled" in vars(each)))
"""


def test_a_pattern_does_what_a_compiled_one_does() -> None:
    word = regex(r"(?P<word>\w+)", re.ASCII)

    assert word.findall("one two") == ["one", "two"]
    assert [found["word"] for found in word.finditer("one")] == ["one"]
    assert (word.pattern, word.flags, word.groupindex) == (r"(?P<word>\w+)", int(re.ASCII), {"word": 1})
    assert regex(rb"\d").sub(b"", b"a1") == b"a"


def test_a_pattern_that_is_none_raises_when_it_is_used() -> None:
    broken = regex("(")

    with pytest.raises(re.error):
        broken.search("")


def test_each_pattern_of_the_package_compiles() -> None:
    for module in pkgutil.walk_packages(email_handler.__path__, "email_handler."):
        import_module(module.name)
    patterns = [each for each in gc.get_objects() if isinstance(each, Regex)]

    assert len(patterns) > 200
    for each in patterns:
        assert each.compiled


def test_importing_the_package_compiles_none_of_them() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", UNCOMPILED], capture_output=True, text=True, check=True, cwd=PROJECT, timeout=60
    )

    assert ran.stdout == "[]\n"
