"""``email-handler reconcile``: unfinished work is listed or finished."""

import pytest

from cloud.cloud import LocalCloud
from tests.support.operator import lines, run


@pytest.mark.cloud
def test_reconcile_reports_what_both_functions_did(cloud: LocalCloud) -> None:
    inbound, reply = lines(cloud, "reconcile")

    assert (inbound["function"], reply["function"]) == ("inbound", "reply")
    assert inbound["failed"] == reply["failed"] == {}
    assert all(isinstance(inbound[name], int) for name in ("seen", "finished", "queued"))
    output = run(cloud, "reconcile").output
    assert "inbound: " in output
    assert "cannot be checked here: SES's identity" in output
    assert "Could not ask" not in output
