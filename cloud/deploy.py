"""Builds the project with SAM and deploys its template to an emulator, without repeating a finished step."""

import fcntl
import hashlib
import json
import os
import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud import ARCHITECTURE, REGION, STACK, guarded, template
from cloud.clients import Clients
from cloud.errors import LocalCloudError
from cloud.template import ReceiptRule, receipt_rules

_ARTIFACTS = "local-cloud-artifacts"  # bucket
_BUILD_LIMIT = 900.0  # seconds; the first build downloads the layer's wheels
_DEPLOY_LIMIT = 300.0
_POINTERS = {
    "RulesPointer": "spam-rules.toml",
    "RoutesPointer": "routes.toml",
    "AcknowledgementPointer": "acknowledgement",
}

PARAMETERS = {
    "Domain": "example.com",
    "PublicAddresses": "contact@example.com",
    "ForwardTo": "owner@private.example",
    "OwnerAliases": "owner@work.example",
    "DisplayName": "Example Studio",
    "HiddenTerms": "",
    "ReceiveMail": "false",  # the emulator applies no receipt rules: the SMTP server does
    "Architecture": ARCHITECTURE,
}
"""The local cloud's default parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The deployed stack."""

    parameters: Mapping[str, str]  # all of the template's
    resources: Mapping[str, str]  # physical names (queues: URLs) by logical id
    outputs: Mapping[str, str]
    template: Mapping[str, Any]

    @property
    def rules(self) -> list[ReceiptRule]:
        """The receipt rules of the template, in SES's order."""
        return receipt_rules(self.template, {**self.parameters, **self.resources})


def deploy(
    project: Path,
    clients: Clients,
    *,
    given: Mapping[str, str],
    function_endpoint: str,
    stack: str = STACK,
    progress: Callable[[str], object] = lambda _: None,
) -> Deployment:
    """Build the project, deploy its template with the parameters *given*, and upload its ``config/``.

    *function_endpoint* is where the functions find AWS. *progress* is called with each step that takes seconds.
    Raise LocalCloudError with SAM's last lines if a step fails.
    """
    source = template.read(project / "template.yaml")
    values = template.parameters(source, {**given, "EndpointUrl": function_endpoint})
    lock_file = project / ".aws-sam/local.lock"
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process at a time builds this project
        built = _build(project, progress)
        fcntl.flock(lock, fcntl.LOCK_SH)  # others may deploy this build now, but not replace it
        digest = _digest([built.read_bytes(), (built.parent / "inputs").read_bytes(), json.dumps(values).encode()])
        if not _holds(clients, stack, digest):
            progress("sam deploy")
            _sam_deploy(project, built, stack, values, clients)
            clients.s3.put_object(Bucket=_ARTIFACTS, Key=f"deployed/{stack}", Body=digest.encode())
    deployment = describe(source, clients, stack, values)
    upload_config(project / "config", deployment, clients)
    return deployment


def _build(project: Path, progress: Callable[[str], object]) -> Path:
    """Run ``sam build`` for this machine if an input changed since the last time; return the template to deploy.

    The template names zip files, which saves each ``sam deploy`` compressing 100 MB of text extraction (10 s of 15).
    """
    folder = project / ".aws-sam/local"
    zipped = folder / "zipped.yaml"
    stamp = folder / "inputs"
    inputs = _inputs(project)
    if not (stamp.exists() and stamp.read_text() == inputs):
        progress("sam build")
        _sam(
            project,
            *("build", "--parallel", "--cached", "--build-dir", folder),
            *("--cache-dir", project / ".aws-sam/cache-local", "--parameter-overrides", f"Architecture={ARCHITECTURE}"),
            environment={"ARCH": ARCHITECTURE},
            limit=_BUILD_LIMIT,
        )
        text = (folder / "template.yaml").read_text()
        zipped.write_text(re.sub(r"(?m)^( +(?:Code|Content)Uri: )(\w+)$", lambda m: m[1] + _zip(folder / m[2]), text))
        stamp.write_text(inputs)
    return zipped


def _sam_deploy(project: Path, built: Path, stack: str, values: Mapping[str, str], clients: Clients) -> None:
    clients.s3.create_bucket(Bucket=_ARTIFACTS)
    overrides = [f'{name}="{value}"' for name, value in values.items()]
    _sam(
        project,
        *("deploy", "--template-file", built, "--stack-name", stack, "--s3-bucket", _ARTIFACTS, "--region", REGION),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--no-fail-on-empty-changeset"),
        *("--no-progressbar", "--parameter-overrides", *overrides),
        environment={
            "AWS_ENDPOINT_URL": clients.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_POLL_DELAY": "0.5",
        },
        limit=_DEPLOY_LIMIT,
    )


def describe(source: Mapping[str, Any], clients: Clients, stack: str, values: Mapping[str, str]) -> Deployment:
    """Return the deployed stack. *source* is the parsed template, *values* its parameters."""
    resources = clients.cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
    outputs = clients.cloudformation.describe_stacks(StackName=stack)["Stacks"][0].get("Outputs", [])
    return Deployment(
        parameters=values,
        resources={entry["LogicalResourceId"]: entry["PhysicalResourceId"] for entry in resources},
        outputs={output["OutputKey"]: output["OutputValue"] for output in outputs},
        template=source,
    )


def upload_config(config: Path, deployment: Deployment, clients: Clients) -> None:
    """Upload the documents of *config* to the archive below ``config/`` and point the SSM parameters at them.

    A missing document leaves its pointer as deployed (``builtin``). The acknowledgement's two templates are one
    document: the text, a line ``=====``, the HTML.
    """
    for pointer, name in _POINTERS.items():
        path = config / name
        if path.is_dir():
            parts = [next(iter(sorted(path.glob(pattern))), None) for pattern in ("*.txt", "*.html")]
            body = b"\n=====\n".join(part.read_bytes().rstrip(b"\n") for part in parts if part)
        elif path.exists():
            body = path.read_bytes()
        else:
            continue
        key = f"config/{_digest([body])[:12]}-{name}"
        clients.s3.put_object(Bucket=deployment.resources["Archive"], Key=key, Body=body)
        clients.ssm.put_parameter(Name=deployment.resources[pointer], Value=key, Type="String", Overwrite=True)


def _zip(folder: Path) -> str:
    """Write ``<folder>.zip``, lightly compressed to be fast; return its name."""
    with zipfile.ZipFile(folder.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return f"{folder.name}.zip"


def _holds(clients: Clients, stack: str, digest: str) -> bool:
    """Return whether an emulator with kept state already has this deployment."""
    try:
        found: bytes = clients.s3.get_object(Bucket=_ARTIFACTS, Key=f"deployed/{stack}")["Body"].read()
    except (clients.s3.exceptions.NoSuchKey, clients.s3.exceptions.NoSuchBucket):
        return False
    return found.decode() == digest


def _sam(project: Path, *arguments: str | Path, environment: Mapping[str, str], limit: float) -> None:
    sam = Path(sys.executable).with_name("sam")
    if not sam.exists():
        raise LocalCloudError("sam is not in this Python's environment: run `make setup` first")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = os.pathsep.join([str(sam.parent), inherited.get("PATH", os.defpath)])  # for sam's pip, and the layer's uv
    try:
        settings = {**inherited, "PATH": path, "SAM_CLI_TELEMETRY": "0", **environment}
        code, output = guarded.run([sam, *arguments], environment=settings, folder=project, limit=limit)
    except TimeoutError as error:
        raise LocalCloudError(f"sam {arguments[0]} did not end within {limit:.0f} s") from error
    if code:
        last = [line for line in output.splitlines() if line.strip()][-8:]
        raise LocalCloudError(f"sam {arguments[0]} failed:\n" + "\n".join(f"  {line}" for line in last))


def _inputs(project: Path) -> str:
    """Return a digest of all the files that a build reads."""
    paths = [project / "template.yaml"]
    for folder in ("layers", "functions"):
        paths += sorted(p for p in (project / folder).rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    parts = [ARCHITECTURE.encode()]
    for path in paths:
        parts += [str(path.relative_to(project)).encode(), path.read_bytes()]
    return _digest(parts)


def _digest(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()
