"""The layer's requirements are those of the lock file, and its service data is what the adapters need."""

import ast
import shutil
import subprocess
from pathlib import Path

import botocore
import botocore.session
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import OperationModel

from layers.email_handler.service_data import OPERATIONS, keep_used
from tests.support.stack import PROJECT

ADAPTERS = PROJECT / "layers/email_handler/python/email_handler/adapters"
ENTRY = PROJECT / "layers/email_handler/python/email_handler/bootstrap.py"


def test_the_requirements_are_those_of_the_lock_file(tmp_path: Path) -> None:
    """``make lock`` writes them."""
    written = tmp_path / "requirements.txt"
    make = ["make", "--silent", "--directory", str(PROJECT), f"REQUIREMENTS={written}", str(written)]
    subprocess.run(make, check=True, capture_output=True, timeout=60)

    assert (PROJECT / "layers/email_handler/requirements.txt").read_text() == written.read_text()


def test_the_layer_contains_neither_boto3_nor_the_operators_libraries() -> None:
    lines = (PROJECT / "layers/email_handler/requirements.txt").read_text().splitlines()
    names = {line.partition("==")[0] for line in lines if "==" in line}

    assert names >= {"pcre2", "botocore"}
    assert not names & {"boto3", "typer", "rich", "kreuzberg", "pydantic"}


def test_only_attachment_has_its_own_libraries_and_the_tests_use_the_same_versions() -> None:
    (path,) = PROJECT.glob("functions/*/requirements.txt")
    requirements = path.read_text().split()

    assert path.parent.name == "attachment"
    assert {requirement.partition("==")[0] for requirement in requirements} == {"chardetng-py", "kreuzberg", "olefile"}
    for requirement in requirements:
        assert f'"{requirement}"' in (PROJECT / "pyproject.toml").read_text()


def test_the_service_data_has_each_operation_that_an_adapter_calls_and_no_other() -> None:
    """An operation is called by a method's name, or named in a text; queries of a table that we wrote look the same."""
    session = botocore.session.get_session()
    named: set[object] = set()
    for source in (*ADAPTERS.rglob("*.py"), ENTRY):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute):
                named.add(node.attr)
            elif isinstance(node, ast.Constant):
                named.add(node.value)
    used = {
        service: {name for name in session.get_service_model(service).operation_names if xform_name(name) in named}
        for service in OPERATIONS
    }

    used["ses"] -= {"SendEmail"}  # of SES's older interface; the mailer's is sesv2's

    assert {service: set(operations) for service, operations in OPERATIONS.items()} == used


def test_the_service_data_says_of_each_operation_what_botocores_own_says(tmp_path: Path) -> None:
    shutil.copytree(Path(botocore.__file__).parent / "data", tmp_path / "data")
    keep_used(tmp_path / "data")
    whole = botocore.session.get_session()
    cut = botocore.session.get_session()
    cut.register_component("data_loader", Loader([str(tmp_path / "data")], include_default_search_paths=False))

    for service, operations in OPERATIONS.items():
        before, after = whole.get_service_model(service), cut.get_service_model(service)
        assert after.operation_names == list(operations)
        for name in operations:
            assert shapes(after.operation_model(name)) == shapes(before.operation_model(name))
        clients = [
            session.create_client(service, region, aws_access_key_id="test", aws_secret_access_key="test")
            for region in ("us-east-1", "cn-north-1", "us-gov-west-1")
            for session in (whole, cut)
        ]
        assert [each.meta.endpoint_url for each in clients[::2]] == [each.meta.endpoint_url for each in clients[1::2]]


def shapes(operation: OperationModel) -> dict[str, object]:
    """Return all that goes into and comes out of *operation*, without the documentation: shapes by name."""
    found: dict[str, object] = {}
    reached = [operation.input_shape, operation.output_shape, *operation.error_shapes]
    while reached:
        shape = reached.pop()
        if shape is None or shape.name in found:
            continue
        parts = {**getattr(shape, "members", {})}
        parts |= {part: getattr(shape, part) for part in ("member", "key", "value") if hasattr(shape, part)}
        found[shape.name] = (
            *(shape.type_name, shape.serialization, shape.metadata),
            {name: (part.name, part.serialization, part.metadata) for name, part in parts.items()},
        )
        reached += parts.values()
    return found
