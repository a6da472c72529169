"""The layer as it ships, built for both processors the way SAM builds it: by its Makefile, in a scratch folder."""

import marshal
import os
import re
import re._compiler as compiler  # type: ignore[import-not-found]
import shutil
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from email_handler.precompiled import ENGINE
from email_handler.spam.sieve import _QUANTIFIER
from tests.support.stack import PROJECT

LIMIT = 15 * 1024 * 1024
MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}  # e_machine in an ELF header


@pytest.fixture(scope="module", params=MACHINES)
def architecture(request: pytest.FixtureRequest) -> str:
    """Return each processor that the template's parameter accepts."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def layer(architecture: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the layer for *architecture* and return the folder that becomes ``/opt/python``."""
    scratch = tmp_path_factory.mktemp(architecture)
    shutil.copytree(PROJECT / "layers/email_handler", scratch / "source")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        ["make", "build-EmailHandlerLayer", f"ARTIFACTS_DIR={scratch / 'built'}"],
        cwd=scratch / "source",
        env={**os.environ, "PATH": path, "ARCH": architecture},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return scratch / "built/python"


def test_the_layer_is_under_15_mb(layer: Path) -> None:
    assert sum(path.stat().st_size for path in layer.rglob("*") if path.is_file()) < LIMIT


def test_the_layer_holds_packages_and_their_metadata_and_nothing_else(layer: Path) -> None:
    """The wheel of pcre2 contains its sources and build files, and a developer's tools leave caches."""
    unexpected = [
        path.name
        for path in layer.iterdir()
        if not (path / "__init__.py").exists()
        and not re.search(r"\.dist-info$|^(typing_extensions|six)\.py$", path.name)
    ]

    assert unexpected == ["__pycache__"]  # of typing_extensions.py and six.py
    assert not list(layer.rglob(".*_cache"))


def test_each_module_of_the_layer_has_bytecode_that_is_valid_whatever_the_files_times_are(layer: Path) -> None:
    """A cold start that compiles its modules takes half as long again, and a function cannot keep the result."""
    flags = {int.from_bytes(path.read_bytes()[4:8], "little") for path in layer.rglob("*.pyc")}

    assert flags == {0b01}  # PEP 552: hash-based, not checked
    assert {path.name.partition(".")[0] for path in layer.rglob("*.pyc")} >= {
        path.stem for path in layer.rglob("email_handler/**/*.py")
    }


def test_the_layer_has_its_patterns_compiled_to_what_re_compiles_them_to(layer: Path) -> None:
    engine, known = marshal.loads((layer / "email_handler/precompiled.bin").read_bytes())

    assert engine == ENGINE
    assert len(known) > 400
    assert (_QUANTIFIER.pattern, 0) in known, "of a module that imports a library for the layer's processor"
    for (pattern, flags), (all_flags, code, groups, numbers, names) in known.items():
        compiled = re.compile(pattern, flags)
        assert array("I", code).tolist() == compiler._code(compiler._parser.parse(pattern, flags), flags)
        assert (all_flags, groups, numbers) == (compiled.flags, compiled.groups, compiled.groupindex)
        assert {name: number for number, name in enumerate(names) if name} == numbers


def test_every_library_of_the_layer_is_for_the_requested_processor(layer: Path, architecture: str) -> None:
    libraries = list(layer.rglob("*.so"))

    assert libraries
    assert {MACHINES[architecture]} == {int.from_bytes(path.read_bytes()[18:20], "little") for path in libraries}


def test_the_layer_contains_every_file_of_the_package(layer: Path) -> None:
    source = PROJECT / "layers/email_handler/python/email_handler"
    files = {
        path.relative_to(source) for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }

    assert files <= {path.relative_to(layer / "email_handler") for path in (layer / "email_handler").rglob("*")}
