"""What making clients for the local cloud imports."""

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
