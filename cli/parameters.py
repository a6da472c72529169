"""The template's parameters: what each takes, and where the values of a deployment come from."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from email_handler.conversations.owners import Identity
from email_handler.identifiers import EmailAddress
from email_handler.mail.addresses import address_domain, can_be_written_to, mailbox_key, split_tag
from email_handler.outgoing.leak_gate.needles import TERM, Needles
from operations.errors import CommandError

REQUIRED = ("Domain", "PublicAddresses", "ForwardTo")
JUNK = frozenset({"y", "n", "yes", "no", "none", "nothing", "nil", "null", "na", "n/a", "true", "false", "ok", "-"})
"""What people answer when they mean nothing: never a term to hide."""


def listed(value: str) -> tuple[str, ...]:
    """Return the entries of a comma-separated *value*, trimmed, without empty ones."""
    return tuple(entry.strip() for entry in value.split(",") if entry.strip())


def tidy(name: str, value: str) -> str:
    """Return *value* as the parameter *name* takes it: lists without blanks around commas, our own names in lower case."""
    lists = {"PublicAddresses", "ForwardTo", "OwnerAliases", "HiddenTerms"}
    value = ",".join(listed(value)) if name in lists else value.strip()
    return value.lower() if name in {"Domain", "PublicAddresses", "ThreadSubdomain", "MailFromSubdomain"} else value


def mistake(template: Mapping[str, Any], name: str, value: str) -> str:
    """Return what CloudFormation would refuse about *value* of the parameter *name*, "" for nothing.

    The value is not repeated: it may be private.
    """
    parameter = template["Parameters"].get(name)
    if parameter is None:
        return "there is no such parameter in template.yaml"
    wanted = parameter.get("ConstraintDescription") or parameter["Description"]
    allowed = [str(each) for each in parameter.get("AllowedValues", ())]
    if allowed and value not in allowed:
        return f"one of {', '.join(allowed)}"
    if not re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value):
        return str(wanted)
    if len(value) > parameter.get("MaxLength", len(value)):
        return f"at most {parameter['MaxLength']} characters"
    if parameter["Type"] == "Number" and not (value.isdecimal() and int(value) >= parameter.get("MinValue", 0)):
        return f"a whole number of at least {parameter.get('MinValue', 0)}"
    return ""


def mistakes(template: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    """Return, by parameter, what is wrong with *values* in themselves: no account could make it right."""
    found = {name: text for name, value in values.items() if (text := mistake(template, name, value))}
    found |= {name: "it is needed" for name in REQUIRED if not values.get(name)}
    if found.keys() & {"Domain", "PublicAddresses"}:
        return found  # all else is judged by these
    return dict(_contradictions(values)) | found


def _contradictions(values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    domain, public = values["Domain"], listed(values["PublicAddresses"])
    thread = f"{values.get('ThreadSubdomain') or 'thread'}.{domain}"
    if outside := [address for address in public if address_domain(address) != domain]:
        yield "PublicAddresses", f"{outside[0]} is not in {domain}"
    keys = {mailbox_key(address) for address in public}
    for name in ("ForwardTo", "OwnerAliases", "AlarmEmail"):
        for address in listed(values.get(name, "")):
            if not can_be_written_to(address):
                yield name, "SES cannot send to an address with characters beyond ASCII before the @"
            elif mailbox_key(split_tag(address)[0]) in keys:
                yield name, "a public address is not private: messages would go in circles"
            elif name != "AlarmEmail" and address_domain(address) in (domain, thread):
                yield name, f"{domain} receives its email here: the private mailbox has to be at another provider"
    if len({values.get("ThreadSubdomain", "thread"), values.get("MailFromSubdomain", "bounce")}) == 1:
        yield "MailFromSubdomain", "it is used for nothing else: not for the thread addresses"
    yield from (("HiddenTerms", text) for text in _bad_terms(values, public, thread))


def _bad_terms(values: Mapping[str, str], public: Sequence[str], thread: str) -> Iterator[str]:
    """Yield what is wrong with the hidden terms, which are named by their place: they are private."""
    shown = (values.get("DisplayName", ""), *public, thread)
    for place, term in enumerate(listed(values.get("HiddenTerms", "")), start=1):
        if term.casefold() in JUNK or sum(map(str.isalnum, term)) < 2:  # noqa: PLR2004
            yield f"term {place} is an answer to a question, not a word to hide; leave it empty if there is none"
            continue
        identity = Identity(
            public_address=EmailAddress(public[0]),
            display_name="",
            domain=values["Domain"],
            thread_domain=thread,
            private_addresses=(),
            hidden_terms=(term,),
        )
        if any(one.what == TERM for text in shown for one in Needles(identity).find(text)):
            yield f"term {place} is part of the public address or name: every reply would be held"


def compose(*sources: Mapping[str, str], architecture: str) -> dict[str, str]:
    """Return the parameters to deploy: each source overrides those before it, parameter by parameter.

    *architecture* is the processor that was built for: functions for the other one could not load the layer.
    """
    values: dict[str, str] = {}
    for source in sources:
        values |= source
    return values | {"Architecture": architecture}


def assignments(given: Sequence[str]) -> dict[str, str]:
    """Return the parameters that ``Name=value`` texts name, as SAM reads them. Raises CommandError."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name.isalnum():
            raise CommandError(f"{name or text} is no setting: write Name=value, such as Domain=example.com")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        values[name] = tidy(name, value[1:-1] if quoted else value)
    return values


def environments(project: Path) -> dict[str, dict[str, Any]]:
    """Return what ``samconfig.toml`` says of each environment's deployment."""
    config = tomllib.loads((project / "samconfig.toml").read_text())
    found = {name: part.get("deploy", {}) for name, part in config.items() if isinstance(part, dict)}
    return {
        name: deploy["parameters"] for name, deploy in found.items() if "stack_name" in deploy.get("parameters", {})
    }


class Answers:
    """The values of one installation, kept in the user's own configuration folder: they don't belong in a repository."""

    def __init__(self, stack: str, account: str, region: str) -> None:
        """Answers for *stack* in an AWS *account* (its number) and *region*: another account has other answers."""
        self.path = Path(typer.get_app_dir("email-handler")) / f"{stack}-{account}-{region}.json"

    def load(self) -> dict[str, str]:
        """Return what is kept, nothing if nothing is. Raises CommandError."""
        try:
            kept = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot read {self.path}: {error}. Mend or delete it.") from error
        if not isinstance(kept, dict) or not all(isinstance(value, str) for value in kept.values()):
            raise CommandError(f"{self.path} does not hold an object of texts. Mend or delete it.")
        return kept

    def keep(self, values: Mapping[str, str]) -> None:
        """Keep *values* instead of what was kept, for the user's eyes alone. Raises CommandError."""
        draft = self.path.with_suffix(".draft")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(json.dumps(dict(sorted(values.items())), indent=2) + "\n")
            draft.replace(self.path)
        except OSError as error:
            raise CommandError(f"cannot write {self.path}: {error.strerror}") from error
