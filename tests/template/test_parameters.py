"""What the template's parameters take, and what CloudFormation refuses before it creates anything."""

import re

import pytest

from tests.support.stack import TEMPLATE

PARAMETERS = TEMPLATE["Parameters"]


def test_no_parameter_lacks_a_default_so_that_the_rule_says_what_is_missing() -> None:
    """CloudFormation itself would name the parameter, but no command that asks for it."""
    assert [name for name, parameter in PARAMETERS.items() if "Default" not in parameter] == []


def test_what_has_no_useful_default_is_required_and_the_refusal_names_the_command_that_asks() -> None:
    required = {}
    for assertion in TEMPLATE["Rules"]["Required"]["Assertions"]:
        (equals,) = assertion["Assert"]["Fn::Not"]
        reference, nothing = equals["Fn::Equals"]
        assert nothing == ""
        required[reference["Ref"]] = assertion["AssertDescription"]

    assert required.keys() == {"Domain", "PublicAddresses", "ForwardTo"}
    assert all(text.startswith(f"{name} is missing. `make configure`") for name, text in required.items())


def test_a_default_is_allowed_by_its_own_pattern() -> None:
    for name, parameter in PARAMETERS.items():
        assert re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), str(parameter["Default"])), name


@pytest.mark.parametrize(
    "terms", ["y", "Y", "no", "Yes", "none", "true", "a,b", "Doe,", ",", ",Doe", 'Jane "Doe"', "x\\y"]
)
def test_an_answer_to_another_question_is_no_hidden_term(terms: str) -> None:
    assert not re.fullmatch(PARAMETERS["HiddenTerms"]["AllowedPattern"], terms)


@pytest.mark.parametrize("terms", ["", "Doe", "+1 555 0100,Jane Doe", "李明", "Norma", "yesterday"])
def test_names_and_numbers_are_hidden_terms(terms: str) -> None:
    assert re.fullmatch(PARAMETERS["HiddenTerms"]["AllowedPattern"], terms)
