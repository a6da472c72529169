"""What making clients imports, for the local cloud and for AWS."""

import os
import subprocess
import sys

from tests.support.stack import PROJECT


def test_clients_import_no_cryptography_which_others_can_import_after_them() -> None:
    code = (
        "import sys, cloud.clients\n"
        "assert not {'OpenSSL', 'cryptography', 'awscrt', '_awscrt'} & sys.modules.keys()\n"
        "import OpenSSL, awscrt\n"
    )

    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=60)


def test_at_aws_botocore_has_the_cryptography_that_a_login_needs() -> None:
    code = (
        "from operations.connection import connect\n"
        "from operations.errors import CommandError\n"
        "try:\n"
        "    connect(stack='email-handler')\n"
        "except CommandError:\n"
        "    from botocore.compat import HAS_CRT\n"
        "    assert HAS_CRT\n"
    )

    environment = os.environ | {"AWS_PROFILE": "nobody"}
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=60, env=environment)
