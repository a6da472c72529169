"""The local cloud: an AWS emulator, SES as an SMTP server and a sending API, and the project's stack deployed to it.
The operator's commands (cli) and anything that runs in AWS (email_handler, functions) do not belong here."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The checkout: where template.yaml, samples and ``.local`` are."""

STACK = "email-handler-local"
"""The stack's name in the local cloud, which no stack at AWS has (samconfig.toml)."""

PRIVATE = 0o077
"""The umask of programs that write messages, records and logs: the files are the user's alone."""
