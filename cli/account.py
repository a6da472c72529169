"""The AWS account that a stack is deployed to, and what is there already."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cli.findings import Names, Observed, Zone, questions
from cloud import REGION
from operations.connection import aws_errors, describe_stack, list_resources
from operations.dns import Dns
from operations.errors import CommandError

OUTPUTS = {"RecordsTable", "ArchiveBucket", "ThreadDomain"}
"""Together they tell a stack of ours from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An AWS account and region, or an emulator of one."""

    number: str
    region: str
    place: str  # for people
    session: Any  # makes boto3's clients: session.client("sqs")

    @classmethod
    def of(cls, endpoint: str = "") -> "Account":
        """Return that of the user's credentials, or the one at *endpoint*. Raises CommandError."""
        import boto3  # noqa: PLC0415  (see operations.connection)

        from cloud.clients import Clients  # noqa: PLC0415

        session: Any = Clients(endpoint) if endpoint else boto3.session.Session()
        region = REGION if endpoint else session.region_name
        if not region:
            raise CommandError("which region? Set it in your AWS profile, or AWS_DEFAULT_REGION=us-east-1")
        with aws_errors(endpoint or "AWS"):
            number = session.client("sts").get_caller_identity()["Account"]
        place = f"the emulator at {endpoint}" if endpoint else f"account {number}, {region}"
        return cls(number=number, region=region, place=place, session=session)

    def described(self, stack: str) -> dict[str, Any]:
        """Return CloudFormation's description of *stack*, {} if there is none. Raises CommandError."""
        with aws_errors(self.place):
            return describe_stack(self.session, stack)

    def deployed(self, stack: str) -> dict[str, str]:
        """Return the parameters that *stack* has, without hidden ones; none if it does not exist. Raises CommandError."""
        return read_parameters(self.described(stack))

    def observe(self, stack: str, values: Mapping[str, str], dns: Dns) -> Observed:
        """Return what is there already that concerns *stack* with the parameters *values*. Raises CommandError."""
        unanswered: list[str] = []
        client = self.session.client

        def ask[T](question: str, answer: Callable[[], T], default: T) -> T:
            try:
                with aws_errors(self.place):
                    return answer()
            except CommandError as error:
                unanswered.append(f"{question} ({error})")
                return default

        described = self.described(stack)
        active: dict[str, Any] = ask(
            "the active rule set", lambda: client("ses").describe_active_receipt_rule_set(), {}
        )
        zone, names = values.get("HostedZoneId", ""), Names.of(values)
        return Observed(
            stack=stack,
            region=self.region,
            status=described.get("StackStatus", ""),
            deployed=read_parameters(described),
            resources=ask("the stack's resources", lambda: self._resources(stack), {}) if described else {},
            others=ask("other stacks", lambda: self._others(stack), {}),
            identity=ask("SES's identities", lambda: self._identity(names.domain), None),
            active=(active.get("Metadata") or {}).get("Name", ""),
            active_rules=[rule["Name"] for rule in active.get("Rules", ())],
            ses=ask("SES's account", lambda: client("sesv2").get_account(), {}),
            concurrency=ask("Lambda's limits", self._concurrency, None),
            zones=ask("Route 53's zones", lambda: self._zones(names.domain), ()),
            zone_records=ask("the zone's records", lambda: self._records(zone, names), frozenset())
            if zone
            else frozenset(),
            dns={(name, kind): dns.values(name, kind) for name, kind in questions(values, self.region)},
            unanswered=unanswered,
        )

    def _resources(self, stack: str) -> dict[str, str]:
        return {
            found["LogicalResourceId"]: found.get("PhysicalResourceId", "")
            for found in list_resources(self.session, stack)
            if not found.get("ResourceStatus", "").startswith("DELETE_COMPLETE")
        }

    def _others(self, stack: str) -> dict[str, str]:
        """Return the domains of the other stacks of ours that receive email, by name."""
        pages = self.session.client("cloudformation").get_paginator("describe_stacks").paginate()
        found = {}
        for described in (each for page in pages for each in page["Stacks"] if each["StackName"] != stack):
            outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
            parameters = read_parameters(described)
            if outputs.keys() >= OUTPUTS and parameters.get("ReceiveMail") == "true":
                found[described["StackName"]] = parameters.get("Domain", "")
        return found

    def _identity(self, domain: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError  # noqa: PLC0415  (see operations.connection)

        try:
            found: Mapping[str, Any] = self.session.client("sesv2").get_email_identity(EmailIdentity=domain)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "NotFoundException":
                return None
            raise
        return found

    def _concurrency(self) -> int | None:
        limit = self.session.client("lambda").get_account_settings()["AccountLimit"]
        return int(limit["UnreservedConcurrentExecutions"])

    def _zones(self, domain: str) -> tuple[Zone, ...]:
        client = self.session.client("route53")
        found = []
        for page in client.get_paginator("list_hosted_zones").paginate():
            for zone in page["HostedZones"]:
                name, private = zone["Name"].rstrip("."), bool((zone.get("Config") or {}).get("PrivateZone"))
                servers: tuple[str, ...] = ()
                if f".{domain}".endswith(f".{name}") and not private:
                    described = client.get_hosted_zone(Id=zone["Id"])
                    servers = tuple(each.rstrip(".").lower() for each in described["DelegationSet"]["NameServers"])
                found.append(Zone(id=zone["Id"].rpartition("/")[2], name=name, private=private, name_servers=servers))
        return tuple(found)

    def _records(self, zone: str, names: Names) -> frozenset[tuple[str, str]]:
        client = self.session.client("route53")
        ours = {names.domain, names.thread, names.mail_from, f"_dmarc.{names.domain}", f"_dmarc.{names.thread}"}
        pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
        found = ((each["Name"].rstrip("."), each["Type"]) for page in pages for each in page["ResourceRecordSets"])
        return frozenset(record for record in found if record[0] in ours)


def read_parameters(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters in CloudFormation's description of a stack, without hidden ones."""
    given = {each["ParameterKey"]: each.get("ParameterValue", "") for each in described.get("Parameters", ())}
    return {name: value for name, value in given.items() if value and set(value) != {"*"}}
