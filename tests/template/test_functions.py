"""Functions of the template against their folders and their settings classes."""

import re
from dataclasses import fields
from datetime import timedelta

import pytest

from email_handler.adapters.extraction.process import MEMORY
from email_handler.settings import AttachmentSettings, InboundSettings, ReceivingSettings, SendingSettings, Settings
from email_handler.usecases.attachments import TEXT_SECONDS
from email_handler.usecases.reconcile import PATIENCE
from tests.support.stack import FUNCTIONS, PROJECT, RESOURCES, TEMPLATE, logical_id, name_of, timeout

FOLDERS = sorted(path.parent.name for path in PROJECT.glob("functions/*/handler.py"))
SETTINGS: dict[str, type[Settings]] = {
    "InboundFunction": InboundSettings,
    "ReplyFunction": ReceivingSettings,
    "AttachmentFunction": AttachmentSettings,
    "AckSenderFunction": SendingSettings,
    "ForwardSenderFunction": SendingSettings,
    "ReplySenderFunction": SendingSettings,
}
ASYNCHRONOUS = ["InboundFunction", "ReplyFunction", "AttachmentFunction"]
SENDERS = ["AckSenderFunction", "ForwardSenderFunction", "ReplySenderFunction"]


def variables(function: str) -> dict[str, object]:
    shared = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    own = FUNCTIONS[function].get("Environment", {}).get("Variables", {})
    return {**shared, **own}


def test_every_function_folder_is_deployed_under_the_logical_id_derived_from_its_name() -> None:
    deployed = {name: properties["CodeUri"] for name, properties in FUNCTIONS.items()}

    assert {logical_id(folder): f"functions/{folder}" for folder in FOLDERS} == deployed


@pytest.mark.parametrize("function", SETTINGS)
def test_the_variables_are_the_fields_of_the_settings_class(function: str) -> None:
    expected = {field.name.upper() for field in fields(SETTINGS[function])}

    assert expected | {"AWS_ENDPOINT_URL"} == variables(function).keys()


@pytest.mark.parametrize("function", SENDERS)
def test_a_sender_gets_its_own_timeout_and_queues(function: str) -> None:
    """If a lease ended before the function, a second attempt could send the same message."""
    given = variables(function)
    stem = function.removesuffix("SenderFunction")

    assert str(timeout(function)) == given["TIMEOUT_SECONDS"]
    assert {"Ref": f"{stem}Queue"} == given["QUEUE_URL"]
    assert {"Ref": f"{stem}DeadLetters"} == given["DEAD_LETTER_QUEUE_URL"]


def test_forwards_and_notices_use_the_configuration_set_that_suppresses_nobody() -> None:
    used = {function: name_of(variables(function)["CONFIGURATION_SET"]) for function in SENDERS}

    assert used == {
        "AckSenderFunction": "ContactConfigurationSet",
        "ForwardSenderFunction": "OwnerConfigurationSet",
        "ReplySenderFunction": "ContactConfigurationSet",
    }
    assert RESOURCES["OwnerConfigurationSet"]["Properties"]["SuppressionOptions"]["SuppressedReasons"] == []


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_has_its_own_log_that_expires(function: str) -> None:
    log = name_of(FUNCTIONS[function]["LoggingConfig"]["LogGroup"])

    assert function.replace("Function", "Log") == log
    assert RESOURCES[log]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("function", ASYNCHRONOUS)
def test_an_asynchronous_invocation_that_fails_for_good_is_kept(function: str) -> None:
    destination = FUNCTIONS[function]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]

    assert destination == {"Type": "SQS", "Destination": {"Fn::GetAtt": "ProcessingFailures.Arn"}}


@pytest.mark.parametrize(
    ("name", "event", "times"),
    [
        ("HourlyPass", '{"reconcile": "hourly"}', r"cron\(\d+ \* \* \* \? \*\)"),
        ("Reconcile", '{"reconcile": true}', r"cron\(\d+ 3 .*"),
    ],
)
def test_both_passes_run_in_both_receiving_functions(name: str, event: str, times: str) -> None:
    for function in ("InboundFunction", "ReplyFunction"):
        schedule = FUNCTIONS[function]["Events"][name]

        assert schedule["Type"] == "ScheduleV2"
        assert schedule["Properties"]["Input"] == event
        assert re.fullmatch(times, schedule["Properties"]["ScheduleExpression"])
        assert schedule["Properties"]["OmitName"] is True, "SAM's name is the same in every stack of an account"


@pytest.mark.parametrize("function", ["InboundFunction", "ReplyFunction"])
def test_a_pass_stops_long_before_lambda_ends_it(function: str) -> None:
    assert timedelta(seconds=timeout(function)) >= 1.5 * PATIENCE


def test_layer_and_functions_have_the_same_architecture() -> None:
    layer = RESOURCES["EmailHandlerLayer"]

    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    assert layer["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
    assert TEMPLATE["Globals"]["Function"]["Architectures"] == [{"Ref": "Architecture"}]


def test_attachment_has_the_memory_and_the_time_that_documents_may_take_with_some_to_spare() -> None:
    assert FUNCTIONS["AttachmentFunction"]["MemorySize"] * 1024 * 1024 >= 2 * MEMORY
    assert timeout("AttachmentFunction") >= TEXT_SECONDS + 120
