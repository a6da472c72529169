"""What an AWS account and DNS would make of the answers, before anything is created: from values to values."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cli.parameters import listed
from email_handler.adapters.ses_state import account_conditions, sending_quota
from email_handler.mail.addresses import address_domain, organizational_domain
from operations.checks import Check, State
from operations.dns import asks_strict_alignment

FEW_FUNCTIONS = 100
"""Concurrent executions: fewer make bursts wait. New accounts have 10 or 50, others 1000."""
RELAXED = '"v=DMARC1; p=quarantine; adkim=r; aspf=r"'


@dataclass(frozen=True, slots=True)
class Finding(Check):
    """One thing found beforehand."""

    fix: Mapping[str, str] = field(default_factory=dict)  # settings that would put it right


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A hosted zone of Route 53."""

    id: str
    name: str  # without the last dot
    private: bool = False
    name_servers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The state of an account and of DNS, as far as it concerns the answers. What could not be asked is absent."""

    stack: str
    region: str
    status: str = ""  # of the stack, "" if there is none
    deployed: Mapping[str, str] = field(default_factory=dict)  # its parameters
    resources: Mapping[str, str] = field(default_factory=dict)  # its resources: physical by logical id
    others: Mapping[str, str] = field(default_factory=dict)  # the domains of other stacks of email-handler, by name
    identity: Mapping[str, Any] | None = None  # SES's of the domain
    active: str = ""  # the active receipt rule set
    active_rules: Sequence[str] = ()
    ses: Mapping[str, Any] = field(default_factory=dict)  # SES's GetAccount
    concurrency: int | None = None  # functions that may run at once
    zones: Sequence[Zone] = ()
    zone_records: frozenset[tuple[str, str]] = frozenset()  # name and kind of those in the answered zone
    dns: Mapping[tuple[str, str], Sequence[str] | None] = field(default_factory=dict)  # by name and kind
    unanswered: Sequence[str] = ()  # questions that AWS refused to answer, and why


@dataclass(frozen=True, slots=True)
class Names:
    """The domain names that a deployment is about."""

    domain: str
    thread: str
    mail_from: str

    @classmethod
    def of(cls, values: Mapping[str, str]) -> "Names":
        """Return the names that follow from the answers."""
        domain = values["Domain"]
        thread = values.get("ThreadSubdomain") or "thread"
        return cls(domain, f"{thread}.{domain}", f"{values.get('MailFromSubdomain') or 'bounce'}.{domain}")

    @property
    def organizational(self) -> str:
        """The domain that was registered."""
        return organizational_domain(self.domain)

    @property
    def nowhere(self) -> str:
        """A name that only a wildcard record could answer."""
        return f"no-such-name-here.{self.domain}"


def questions(values: Mapping[str, str], region: str) -> list[tuple[str, str]]:
    """Return the DNS records to look up, name and kind."""
    names = Names.of(values)
    mailboxes = sorted({organizational_domain(address_domain(each)) for each in listed(values["ForwardTo"])})
    asked = [
        (inbound(region), "A"),
        (names.organizational, "NS"),
        *((name, "MX") for name in (names.domain, names.thread, names.mail_from, names.nowhere)),
        *((name, "TXT") for name in (names.domain, names.mail_from)),
        *((f"_dmarc.{name}", "TXT") for name in (names.domain, names.thread, names.organizational, *mailboxes)),
    ]
    return list(dict.fromkeys(asked))


def inbound(region: str) -> str:
    """Return the host that receives email for SES in *region*; DNS has it only where SES receives."""
    return f"inbound-smtp.{region}.amazonaws.com"


def findings(values: Mapping[str, str], seen: Observed) -> list[Finding]:
    """Return what is fine, worth knowing or wrong about deploying *values* (without mistakes) where *seen* was seen."""
    found = [Finding("AWS", State.NOTE, f"not checked: {each}", "Look in the AWS console.") for each in seen.unanswered]
    found += [*_stack(values, seen), *_lambda(seen)]
    if values.get("ReceiveMail") == "false":
        text = "ReceiveMail is false: nothing is set up in SES and DNS, so no email arrives by itself"
        return [*found, Finding("Receiving", State.NOTE, text)]
    names = Names.of(values)
    found += [*_region(seen), *_rule_set(seen), *_identity(values, seen, names), *_sending(seen)]
    found += _zone(values, seen, names)
    if all(answer is None for answer in seen.dns.values()):
        return [*found, Finding("DNS", State.NOTE, "not checked: no name server answers")]
    found += [*_domain(seen, names), *_mx(values, seen, names), *_txt(values, seen, names)]
    return [*found, *_alignment(values, seen, names), *_mailboxes(values, seen)]


def _stack(values: Mapping[str, str], seen: Observed) -> Iterator[Finding]:
    what = "Stack"
    if not seen.status or seen.status == "REVIEW_IN_PROGRESS":
        yield Finding(what, State.FINE, f"{seen.stack} will be created")
    elif seen.status.endswith("_IN_PROGRESS"):
        yield Finding(what, State.WRONG, f"{seen.stack} is {seen.status}", "Wait until CloudFormation has finished.")
    elif seen.status in {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        todo = (
            f"A stack in this state can only be deleted: aws cloudformation delete-stack --stack-name {seen.stack}. Its "
            f"bucket and table stay: delete those that hold nothing. If its rule set is active, first: "
            f"email-handler deactivate --stack {seen.stack}"
        )
        yield Finding(what, State.WRONG, f"{seen.stack} is {seen.status}: its deployment or deletion failed", todo)
    elif seen.status == "UPDATE_ROLLBACK_FAILED":
        todo = f"aws cloudformation continue-update-rollback --stack-name {seen.stack}"
        yield Finding(what, State.WRONG, f"{seen.stack} is {seen.status}", todo)
    elif (before := seen.deployed.get("Domain", "")) not in ("", values["Domain"]):
        todo = (
            "Deploy the new domain as another stack, in another region, or go on with --despite if nobody will reply."
        )
        found = f"{seen.stack} serves {before}: replies to what it has forwarded would go nowhere"
        yield Finding(what, State.WRONG, found, todo)
    elif (sub := seen.deployed.get("ThreadSubdomain", "")) not in ("", values.get("ThreadSubdomain") or "thread"):
        old, new = f"{sub}.{values['Domain']}", Names.of(values).thread
        todo = f"Keep ThreadSubdomain={sub}, or go on with --despite if nobody will reply to what was sent until now."
        found = f"the thread addresses move from {old} to {new}: replies to earlier messages would go nowhere"
        yield Finding(what, State.WRONG, found, todo, {"ThreadSubdomain": sub})
    else:
        yield Finding(what, State.FINE, f"{seen.stack} will be updated")
    for name, domain in seen.others.items():
        found = f"the stack {name} ({domain}) is in this account and region"
        todo = (
            "SES has one active rule set for each account and region, and both stacks would process each other's events. "
            f"Choose another region, or give that stack the further addresses if they are in {domain}."
        )
        if values.get("ReceiveMail") != "false":
            yield Finding("Other installation", State.WRONG, found, todo)


def _lambda(seen: Observed) -> Iterator[Finding]:
    if seen.concurrency is None:
        return
    what, found = "Lambda", f"{seen.concurrency} functions may run at the same time"
    todo = "Ask for more: Service Quotas, AWS Lambda, Concurrent executions (1000 is usual)."
    if seen.concurrency == 0:
        yield Finding(what, State.WRONG, found, todo)
    elif seen.concurrency < FEW_FUNCTIONS:
        yield Finding(what, State.NOTE, f"{found}, in all of the account: many messages at once have to wait", todo)
    else:
        yield Finding(what, State.FINE, found)


def _region(seen: Observed) -> Iterator[Finding]:
    answer = seen.dns.get((inbound(seen.region), "A"))
    if answer:
        yield Finding("Region", State.FINE, f"SES receives email in {seen.region}")
    elif answer is not None:
        todo = "Choose a region where it does, such as us-east-1 or eu-west-1: AWS_DEFAULT_REGION, or in your profile."
        yield Finding("Region", State.WRONG, f"SES receives no email in {seen.region}", todo)


def _rule_set(seen: Observed) -> Iterator[Finding]:
    ours = seen.resources.get("ReceiptRules", "")
    if seen.active and seen.active != ours and seen.active_rules:
        found = f"the rule set {seen.active} is active and has rules ({', '.join(seen.active_rules)})"
        todo = (
            "SES applies one rule set in a region, so activating ours would stop those. Choose another region. Or go on "
            "with --despite: email-handler activate then shows how to copy those rules to ours."
        )
        yield Finding("Receipt rules", State.WRONG, found, todo)
    else:
        active = f"{seen.active} is active" if seen.active else "no rule set is active"
        yield Finding("Receipt rules", State.FINE, f"{active}, nothing else receives here")


def _identity(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    what, managed, owned = "Identity", values.get("ManageIdentity") != "false", "Identity" in seen.resources
    there = seen.identity is not None
    if managed and there and not owned:
        yield Finding(
            what,
            State.WRONG,
            f"SES has an identity {names.domain} already: CloudFormation cannot create it again",
            "Keep it with ManageIdentity=false, or if nothing else sends with it, delete it: "
            f"aws sesv2 delete-email-identity --email-identity {names.domain}",
            {"ManageIdentity": "false"},
        )
    elif not managed and (owned or not there):
        found = "ManageIdentity=false would delete the identity" if owned else f"SES has no identity {names.domain}"
        yield Finding(what, State.WRONG, found, "Let the stack manage it.", {"ManageIdentity": "true"})
    elif not managed:
        yield from _kept_identity(seen.identity or {}, names)
    else:
        yield Finding(what, State.FINE, f"{names.domain} {'stays' if owned else 'will be created'} in SES")


def _kept_identity(identity: Mapping[str, Any], names: Names) -> Iterator[Finding]:
    command = "aws sesv2 put-email-identity"
    mail_from = (identity.get("MailFromAttributes") or {}).get("MailFromDomain", "")
    if mail_from != names.mail_from:
        found = f"the identity's MAIL FROM domain is {mail_from or 'not set'}, not {names.mail_from}"
        todo = f"{command}-mail-from-attributes --email-identity {names.domain} --mail-from-domain {names.mail_from}"
        yield Finding("Identity", State.NOTE, found, todo)
    if identity.get("FeedbackForwardingStatus"):
        todo = f"{command}-feedback-attributes --email-identity {names.domain} --no-email-forwarding-enabled"
        yield Finding("Identity", State.NOTE, "SES also emails its bounces to the public address", todo)
    status = (identity.get("DkimAttributes") or {}).get("Status", "unknown")
    if status != "SUCCESS":
        todo = "Set the CNAME records that the SES console shows for the identity."
        yield Finding("Identity", State.NOTE, f"its DKIM is {status}: nothing is sent until it is SUCCESS", todo)
    else:
        yield Finding("Identity", State.FINE, f"{names.domain} stays in SES as it is")


def _sending(seen: Observed) -> Iterator[Finding]:
    if not seen.ses:
        return
    conditions = list(account_conditions(seen.ses))
    for one in conditions:
        yield Finding("SES", State.WRONG if one.serious else State.NOTE, one.found, one.todo)
    most, sent = sending_quota(seen.ses)
    if most > 0 and not conditions:
        yield Finding("SES", State.FINE, f"{most:.0f} emails a day may be sent, {sent:.0f} were")


def _zone(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    what, chosen = "Route 53", values.get("HostedZoneId", "")
    fitting = [zone for zone in seen.zones if not zone.private and _within(names.domain, zone.name)]
    best = max(fitting, key=lambda zone: len(zone.name), default=None)
    if not chosen:
        if best:
            found = f"the hosted zone {best.name} ({best.id}) holds {names.domain}"
            todo = "With it the stack sets all DNS records itself."
            yield Finding(what, State.NOTE, found, todo, {"HostedZoneId": best.id})
        return
    zone = next((zone for zone in seen.zones if zone.id == chosen), None)
    fix = {"HostedZoneId": best.id if best else ""}
    if zone is None:
        yield Finding(what, State.WRONG, f"this account has no hosted zone {chosen}", "Choose one that it has.", fix)
        return
    if zone.private or not _within(names.domain, zone.name):
        found = f"{zone.name} ({zone.id}) {'is private' if zone.private else f'does not hold {names.domain}'}"
        yield Finding(what, State.WRONG, found, "Choose the public zone of the domain, or none.", fix)
        return
    public = seen.dns.get((zone.name, "NS"))
    if public and zone.name_servers and not {each.rstrip(".").lower() for each in public} & set(zone.name_servers):
        found = f"DNS asks other name servers for {zone.name} than those of {zone.id}"
        todo = f"Set these name servers where the domain is registered: {', '.join(zone.name_servers)}"
        yield Finding(what, State.WRONG, found, todo)
    if "MailDns" not in seen.resources:
        yield from _collisions(values, seen, names)
    yield Finding(what, State.FINE, f"the stack sets its records in {zone.name} ({zone.id})")


def _collisions(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    """Yield the records that the zone has, which CloudFormation would fail to create."""
    optional = {
        (names.domain, "MX"): "ManageMx",
        (f"_dmarc.{names.domain}", "TXT"): "ManageDmarc",
        (names.domain, "TXT"): "ManageRootSpf",
    }
    wanted = {record for record, name in optional.items() if values.get(name) == "true"}
    wanted |= {
        (names.thread, "MX"),
        (names.mail_from, "MX"),
        (names.mail_from, "TXT"),
        (f"_dmarc.{names.thread}", "TXT"),
    }
    names_with_alias = {name for name, kind in seen.zone_records if kind == "CNAME"}
    for name, kind in sorted(wanted):
        if (name, kind) in seen.zone_records or name in names_with_alias:
            setting = optional.get((name, kind), "")
            todo = f"Keep it with {setting}=false, or delete" if setting else "Delete"
            fix = {setting: "false"} if setting in {"ManageDmarc", "ManageRootSpf"} else {}
            found = f"the zone has a record {name} {kind} already: CloudFormation cannot create it again"
            yield Finding("Route 53", State.WRONG, found, f"{todo} the record.", fix)


def _within(domain: str, zone: str) -> bool:
    return f".{domain}".endswith(f".{zone}")


def _domain(seen: Observed, names: Names) -> Iterator[Finding]:
    if seen.dns.get((names.organizational, "NS")) == []:
        found = f"DNS does not know {names.organizational}"
        yield Finding("Domain", State.WRONG, found, "Register it first, or correct Domain if it is misspelt.")


def _mx(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    wildcard = _hosts(seen.dns.get((names.nowhere, "MX")))
    subdomains = {names.thread: "ThreadSubdomain", names.mail_from: "MailFromSubdomain"}
    for name, ours in (
        (names.domain, inbound(seen.region)),
        (names.thread, inbound(seen.region)),
        (names.mail_from, f"feedback-smtp.{seen.region}.amazonses.com"),
    ):
        hosts = _hosts(seen.dns.get((name, "MX")))
        if hosts is None:
            continue
        others = [host for host in hosts if host != ours]
        if not hosts or hosts == wildcard:
            yield Finding("MX", State.FINE, f"{name} has none of its own yet")
        elif not others:
            yield Finding("MX", State.FINE, f"{name} leads here")
        elif setting := subdomains.get(name):
            found = f"{name} has other mail servers ({', '.join(others)})"
            yield Finding("MX", State.WRONG, found, f"Choose another {setting}, or remove the record.")
        elif values.get("ManageMx") == "false":
            todo = "Change the MX record once everything else works."
            yield Finding("MX", State.NOTE, f"{name} receives its email elsewhere ({', '.join(others)})", todo)
        else:
            found = f"{name} receives its email elsewhere ({', '.join(others)})"
            todo = f"Use a subdomain as Domain, such as mail.{name}. Or to move {name} here: --set ManageMx=false"
            yield Finding("MX", State.WRONG, found, todo)


def _hosts(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else sorted(value.split()[-1].rstrip(".").lower() for value in values)


def _txt(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    theirs = "MailDns" not in seen.resources
    spf = [text for text in _texts(seen, names.mail_from) if text.startswith("v=spf1")]
    if any("amazonses.com" not in text for text in spf):
        found = f"{names.mail_from} has another SPF record: {spf[0]}"
        yield Finding("SPF", State.WRONG, found, "Choose another MailFromSubdomain, or remove the record.")
    elif values.get("ManageRootSpf") == "true" and theirs and _texts(seen, names.domain):
        found = f"{names.domain} has TXT records: one of the stack's own would replace or collide with them"
        todo = "SPF passes through MAIL FROM without it. Keep them with ManageRootSpf=false."
        yield Finding("SPF", State.WRONG, found, todo, {"ManageRootSpf": "false"})
    else:
        yield Finding("SPF", State.FINE, f"passes through {names.mail_from}; {names.domain} needs none")
    if values.get("ManageDmarc") == "false" or not theirs:
        return
    if record := _dmarc(seen, names.domain):
        state = State.WRONG if values.get("HostedZoneId") else State.NOTE
        todo = "Keep it with ManageDmarc=false."
        yield Finding("DMARC", state, f"{names.domain} has a record: {record}", todo, {"ManageDmarc": "false"})


def _alignment(values: Mapping[str, str], seen: Observed, names: Names) -> Iterator[Finding]:
    """Find a policy by which email from the thread addresses, signed by the domain, would fail (RFC 7489 §3.1, §6.6.3):
    that of the name itself or of the organizational domain, never of one between."""
    own = _dmarc(seen, names.thread)
    record = own or _dmarc(seen, names.organizational)
    if values.get("HostedZoneId"):
        yield Finding("DMARC", State.FINE, f"_dmarc.{names.thread} is set with relaxed alignment")
    elif asks_strict_alignment(record):
        owner = names.thread if own else names.organizational
        found = f"the DMARC record of {owner} asks for strict alignment: every forward from {names.thread} would fail"
        todo = f"Set _dmarc.{names.thread} TXT {RELAXED}"
        yield Finding("DMARC", State.WRONG, found, todo)
    elif record:
        yield Finding("DMARC", State.FINE, f"relaxed alignment: email from {names.thread} passes")
    else:
        yield Finding("DMARC", State.FINE, f"no policy for {names.thread}")


def _mailboxes(values: Mapping[str, str], seen: Observed) -> Iterator[Finding]:
    without = sorted(
        domain
        for domain in {organizational_domain(address_domain(each)) for each in listed(values["ForwardTo"])}
        if seen.dns.get((f"_dmarc.{domain}", "TXT")) is not None and not _dmarc(seen, domain)
    )
    if without:
        found = "a private mailbox's provider publishes no DMARC policy: replies count as yours by DKIM or SPF alone"
        yield Finding("Your mailbox", State.NOTE, found, "If replies are held, ask the provider to sign with DKIM.")


def _texts(seen: Observed, name: str) -> list[str]:
    values = seen.dns.get((name, "TXT")) or ()
    return [value.replace('" "', "").strip('"') for value in values]


def _dmarc(seen: Observed, domain: str) -> str:
    return next((text for text in _texts(seen, f"_dmarc.{domain}") if text.startswith("v=DMARC1")), "")
