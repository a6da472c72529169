"""The settings of an installation: what is refused, which value wins, and where answers are kept."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.deploy import architecture_for, read_arguments
from cli.parameters import Answers, assignments, compose, environments, mistakes, tidy
from cloud import ARCHITECTURE
from operations.errors import CommandError
from tests.support.stack import PROJECT, TEMPLATE

VALUES = {"Domain": "example.com", "PublicAddresses": "contact@example.com", "ForwardTo": "me@private.example"}


@pytest.mark.parametrize(
    ("changed", "name", "words"),
    [
        ({"Domain": ""}, "Domain", "needed"),
        ({"Domain": "Example.com"}, "Domain", "lower case"),
        (
            {"PublicAddresses": "contact@example.com,help@mail.example.com"},
            "PublicAddresses",
            "help@mail.example.com is not in",
        ),
        ({"PublicAddresses": "contact+x@example.com"}, "PublicAddresses", "without tags"),
        ({"ForwardTo": "contact@example.com"}, "ForwardTo", "not private"),
        ({"ForwardTo": "me@private.example,Contact+Me@Example.com"}, "ForwardTo", "not private"),
        ({"ForwardTo": "owner@example.com"}, "ForwardTo", "another provider"),
        ({"ForwardTo": "owner@thread.example.com"}, "ForwardTo", "another provider"),
        ({"ForwardTo": "über@private.example"}, "ForwardTo", "ASCII"),
        ({"ForwardTo": "nobody"}, "ForwardTo", "Addresses with commas"),
        ({"OwnerAliases": "contact@example.com"}, "OwnerAliases", "not private"),
        ({"AlarmEmail": "contact@example.com"}, "AlarmEmail", "not private"),
        ({"HiddenTerms": "y"}, "HiddenTerms", "two characters"),
        ({"HiddenTerms": "Doe,n/a"}, "HiddenTerms", "term 2"),
        ({"HiddenTerms": "--"}, "HiddenTerms", "term 1"),
        ({"HiddenTerms": "Jane Doe,EXAMPLE.com"}, "HiddenTerms", "term 2 is part of the public"),
        ({"HiddenTerms": "Studio", "DisplayName": "Example Studio"}, "HiddenTerms", "every reply would be held"),
        ({"MailFromSubdomain": "thread"}, "MailFromSubdomain", "nothing else"),
        ({"ReceiveMail": "yes"}, "ReceiveMail", "one of true, false"),
        ({"AckDailyCap": "many"}, "AckDailyCap", "whole number"),
        ({"DisplayName": "x" * 101}, "DisplayName", "at most 100"),
        ({"Domian": "example.com"}, "Domian", "no such parameter"),
    ],
)
def test_a_value_that_could_never_work_is_refused_in_words(changed: dict[str, str], name: str, words: str) -> None:
    found = mistakes(TEMPLATE, VALUES | changed)

    assert list(found) == [name]
    assert words in found[name]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"Domain": "mail.example.com", "PublicAddresses": "contact@mail.example.com", "ForwardTo": "me@example.com"},
        {"ForwardTo": "me+inbox@private.example,you@private.example", "OwnerAliases": "me@work.example"},
        {"HiddenTerms": "Jane Doe,+1 555 0100,李明", "DisplayName": "Example Studio"},
        {"AlarmEmail": "ops@example.com"},
    ],
)
def test_an_ordinary_installation_has_no_mistakes(changed: dict[str, str]) -> None:
    assert mistakes(TEMPLATE, VALUES | changed) == {}


@given(st.dictionaries(st.sampled_from(sorted(TEMPLATE["Parameters"])), st.text(max_size=30)))
def test_no_answer_raises_and_no_private_one_is_repeated(changed: dict[str, str]) -> None:
    found = mistakes(TEMPLATE, VALUES | {name: tidy(name, value) for name, value in changed.items()})

    for name in ("ForwardTo", "OwnerAliases", "HiddenTerms", "AlarmEmail"):
        secret = changed.get(name, "").strip()
        assert len(secret) < 12 or secret not in "".join(found.values())


def test_the_processor_is_the_one_that_was_built_for_whatever_else_is_said() -> None:
    values = compose({"Architecture": "arm64"}, {"Architecture": "arm64"}, architecture="x86_64")

    assert values == {"Architecture": "x86_64"}


def test_what_samconfig_sets_survives_an_override_of_something_else() -> None:
    """SAM alone replaces the whole list: the first production deployment lost its protection."""
    prod = assignments(environments(PROJECT)["prod"]["parameter_overrides"])
    values = compose(prod, {"HostedZoneId": "Z1", "AckDailyCap": "10"}, {"AckDailyCap": "20"}, architecture="arm64")

    assert values == {"DeletionProtection": "true", "HostedZoneId": "Z1", "AckDailyCap": "20", "Architecture": "arm64"}


@pytest.mark.parametrize(
    ("sources", "built"),
    [
        (({}, {}, {"Architecture": "x86_64"}), "x86_64"),  # only the stack says so
        (({}, {"Architecture": "x86_64"}, {"Architecture": "arm64"}), "x86_64"),
        (({"Architecture": "arm64"}, {"Architecture": "x86_64"}, {}), "arm64"),
        (({}, {}, {}), "arm64"),
    ],
)
def test_a_plain_deployment_builds_for_the_processor_that_the_stack_has(
    sources: tuple[dict[str, str], ...], built: str
) -> None:
    assert architecture_for("prod", *sources) == built
    assert architecture_for("local", *sources) == ARCHITECTURE


@pytest.mark.parametrize(
    "arguments",
    [
        ["--parameter-overrides", "Domain=example.com", "DisplayName=Jane Doe", "--no-confirm-changeset"],
        [
            "--no-confirm-changeset",
            "--parameter-overrides=Domain=example.com",
            "--parameter-overrides",
            "DisplayName=Jane Doe",
        ],
        ["--parameter-overrides", "Domain=example.com 'DisplayName=Jane Doe'", "--no-confirm-changeset"],
        [
            "--parameter-overrides",
            "ParameterKey=Domain,ParameterValue=example.com",
            'DisplayName="Jane Doe"',
            "--no-confirm-changeset",
        ],
    ],
)
def test_overrides_are_taken_out_of_sams_options_however_they_are_written(arguments: list[str]) -> None:
    assert read_arguments(arguments) == (
        {"Domain": "example.com", "DisplayName": "Jane Doe"},
        ["--no-confirm-changeset"],
    )


@pytest.mark.parametrize("arguments", [["--guided"], ["-g"], ["--no-confirm-changeset", "--guided"]])
def test_the_guided_mode_is_refused_in_a_line_that_names_configure(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=r"^--guided .* make configure [^\n]*$"):
        read_arguments(arguments)


@pytest.mark.parametrize("text", ["Domain", "=x", "--set", "Do main=x"])
def test_what_sets_nothing_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="write Name=value"):
        assignments([text])


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answers:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Answers("email-handler", "123456789012", "eu-west-1")


def test_answers_are_for_their_user_alone_and_outside_the_repository(answers: Answers) -> None:
    before = os.umask(0)
    try:
        answers.keep(VALUES)
    finally:
        os.umask(before)

    assert stat.S_IMODE(answers.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(answers.path.parent.stat().st_mode) == 0o700
    assert not answers.path.is_relative_to(PROJECT)
    assert answers.load() == VALUES
    assert [each.name for each in answers.path.parent.iterdir()] == [answers.path.name]


def test_another_account_has_other_answers(answers: Answers) -> None:
    answers.keep(VALUES)

    assert Answers("email-handler", "210987654321", "eu-west-1").load() == {}
    assert Answers("email-handler", "123456789012", "us-east-1").load() == {}


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({"Domain": 1})])
def test_answers_that_cannot_be_read_are_a_line_that_names_the_file(answers: Answers, content: str) -> None:
    answers.keep({})
    answers.path.write_text(content)

    with pytest.raises(CommandError, match="Mend or delete it"):
        answers.load()
