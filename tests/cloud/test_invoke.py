"""The variables that `sam local invoke` gets for the running local cloud."""

from cloud.deploy import Deployment
from cloud.sam_local import variables
from tests.support.stack import FUNCTIONS, RESOURCES, TEMPLATE

DEPLOYMENT = Deployment(
    parameters={}, resources={name: f"physical-{name}" for name in RESOURCES}, outputs={}, template=TEMPLATE
)


def test_each_function_gets_the_physical_names_that_sam_cannot_resolve() -> None:
    found = variables(DEPLOYMENT, "http://127.0.0.1:4577")

    assert found.keys() == FUNCTIONS.keys()
    assert found["AckSenderFunction"] == {
        "TABLE_NAME": "physical-Records",
        "ARCHIVE_BUCKET": "physical-Archive",
        "QUEUE_URL": "physical-AckQueue",
        "DEAD_LETTER_QUEUE_URL": "physical-AckDeadLetters",
        "NOTICE_QUEUE_URL": "physical-ForwardQueue",
        "CONFIGURATION_SET": "physical-ContactConfigurationSet",
        "ACKNOWLEDGEMENT_PARAMETER": "physical-AcknowledgementPointer",
        "ROUTES_PARAMETER": "physical-RoutesPointer",
        "AWS_ENDPOINT_URL": "http://host.docker.internal:4577",
    }
