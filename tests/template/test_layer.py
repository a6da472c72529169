"""The layer's requirements are those of the lock file."""

import subprocess
from pathlib import Path

from tests.support.stack import PROJECT


def test_the_requirements_are_those_of_the_lock_file(tmp_path: Path) -> None:
    """``make lock`` writes them."""
    written = tmp_path / "requirements.txt"
    make = ["make", "--silent", "--directory", str(PROJECT), f"REQUIREMENTS={written}", str(written)]
    subprocess.run(make, check=True, capture_output=True, timeout=60)

    assert (PROJECT / "layers/email_handler/requirements.txt").read_text() == written.read_text()


def test_the_layer_contains_neither_lambdas_own_libraries_nor_the_operators() -> None:
    lines = (PROJECT / "layers/email_handler/requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}

    assert "pcre2" in names
    assert not names & {"boto3", "botocore", "typer", "rich", "kreuzberg", "pydantic"}


def test_only_attachment_has_its_own_libraries_and_the_tests_use_the_same_versions() -> None:
    (path,) = PROJECT.glob("functions/*/requirements.txt")
    requirements = path.read_text().split()

    assert path.parent.name == "attachment"
    assert {requirement.partition("==")[0] for requirement in requirements} == {"chardetng-py", "kreuzberg", "olefile"}
    for requirement in requirements:
        assert f'"{requirement}"' in (PROJECT / "pyproject.toml").read_text()
