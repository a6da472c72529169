"""Cuts botocore's service data down to the operations that the functions call: 19 MB become 0.3 MB.

``python service_data.py FOLDER``, where FOLDER is ``botocore/data`` of a layer being built. botocore reads a service's
whole description to make its client, and lists all 430 services to find it: most of the time that clients take. What is
left has botocore's own form, in botocore's own place, and is that of the very version beside it. A call that is not in
:data:`OPERATIONS` fails as one that does not exist, which tests/template/test_layer.py prevents.
"""

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

OPERATIONS = {
    "dynamodb": ("BatchGetItem", "DeleteItem", "GetItem", "Query", "Scan", "TransactWriteItems", "UpdateItem"),
    "events": ("PutEvents",),
    "s3": ("DeleteObjectTagging", "GetObject", "ListObjectsV2", "PutObject", "PutObjectTagging"),
    "ses": ("DescribeActiveReceiptRuleSet",),
    "sesv2": ("GetAccount", "GetEmailIdentity", "GetSuppressedDestination", "SendEmail"),
    "sns": ("Publish",),
    "sqs": (
        *("ChangeMessageVisibility", "ChangeMessageVisibilityBatch", "DeleteMessage"),
        *("GetQueueAttributes", "ReceiveMessage", "SendMessage"),
    ),
    "ssm": ("GetParameters", "PutParameter"),
}
"""What the adapters call, by service. The operator's commands share some of them."""

SHARED = ("_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json")


def keep_used(data: Path) -> None:
    """Cut the service data in the folder *data* down to :data:`OPERATIONS`. Raise KeyError if one is not there."""
    for entry in data.iterdir():
        if entry.is_dir() and entry.name not in OPERATIONS:
            shutil.rmtree(entry)
        elif not entry.is_dir() and entry.name not in SHARED:
            entry.unlink()
    names = set()
    for service, operations in OPERATIONS.items():
        *older, newest = sorted((data / service).iterdir())
        for version in older:
            shutil.rmtree(version)
        files = {path.name.removesuffix(".gz"): _read(path) for path in newest.iterdir()}
        model = only(files["service-2.json"], operations)
        extras = files.get("service-2.sdk-extras.json")
        names.add(model["metadata"]["endpointPrefix"])
        paginators = files.get("paginators-1.json", {"pagination": {}})["pagination"]
        shutil.rmtree(newest)
        newest.mkdir()
        _write(newest / "service-2.json", model)
        if extras:  # what botocore itself adds to a model
            _write(newest / "service-2.sdk-extras.json", extras)
        _write(newest / "endpoint-rule-set-1.json", files["endpoint-rule-set-1.json"])
        _write(
            newest / "paginators-1.json",
            {"pagination": {name: how for name, how in paginators.items() if name in operations}},
        )
    endpoints = _read(data / "endpoints.json")
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in names}
    _write(data / "endpoints.json", endpoints)


def only(model: dict[str, Any], operations: tuple[str, ...]) -> dict[str, Any]:
    """Return the service *model* with *operations* alone, the shapes that these reach, and no documentation."""
    kept = {name: model["operations"][name] for name in operations}
    shapes: dict[str, Any] = {}
    reached = [
        shape["shape"]
        for operation in kept.values()
        for shape in (operation.get("input"), operation.get("output"), *operation.get("errors", ()))
        if shape
    ]
    while reached:
        name = reached.pop()
        if name not in shapes:
            shapes[name] = shape = model["shapes"][name]
            parts = (*shape.get("members", {}).values(), *(shape.get(part) for part in ("member", "key", "value")))
            reached += [part["shape"] for part in parts if part]
    return {**model, "operations": _undocumented(kept), "shapes": _undocumented(shapes), "documentation": ""}


def _undocumented(value: Any) -> Any:
    """Return *value* without texts for people. A member of a structure may be called ``documentation``: it is no text."""
    if isinstance(value, dict):
        return {
            name: _undocumented(each)
            for name, each in value.items()
            if not (name.startswith("documentation") and isinstance(each, str))
        }
    return [_undocumented(each) for each in value] if isinstance(value, list) else value


def _read(path: Path) -> Any:
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    keep_used(Path(sys.argv[1]))
