"""Messages stored without SES's event, and the list of unfinished work."""

import json

from cloud.cloud import LocalCloud
from tests.support.builders import mail
from tests.support.operator import PUBLIC, run


def store(cloud: LocalCloud, sender: str, receipt: str) -> None:
    """Put a message into the archive as SES would, without SES's event."""
    verdicts = "amazonses.com; spf=pass; dkim=pass header.i=@operated.example; dmarc=pass header.from=operated.example;"
    raw = mail(sender=sender, message_id=f"<{receipt}@operated.example>", Authentication_Results=verdicts)
    raw = b"Return-Path: <" + sender.encode() + b">\r\nReceived: from a by b for " + PUBLIC.encode() + b";\r\n" + raw
    cloud.clients.s3.put_object(Bucket=cloud.resources["Archive"], Key=f"raw/inbound/{receipt}", Body=raw)


def unfinished(cloud: LocalCloud, *options: str) -> dict[str, str]:
    """Return the trouble of everything that ``reconcile --dry-run`` lists, by id."""
    ran = run(cloud, "reconcile", "--dry-run", "--settled", "0", "--json", *options)
    *found, counts = map(json.loads, ran.stdout.splitlines())
    stuck = sum(counts[name] for name in ("stateless", "unfinished", "overdue", "unpublished", "failed"))

    assert ran.exit_code == (5 if stuck else 0)
    return {one["id"]: one["trouble"] for one in found}
