"""The local cloud: an AWS emulator, SES as an SMTP server and a sending API, and the project's stack deployed to it.
The operator's commands (cli) and anything that runs in AWS (email_handler, functions) do not belong here."""

import platform
from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The checkout: where template.yaml, samples and ``.local`` are."""

STACK = "email-handler-local"
"""The stack's name in the local cloud, which no stack at AWS has (samconfig.toml)."""

REGION = "us-east-1"

ACCOUNT = "000000000000"
"""The emulators' own."""

ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""This machine's, as Lambda names it: what is built for the local cloud runs on it."""

PRIVATE = 0o077
"""The umask of programs that write messages, records and logs: the files are the user's alone."""
