"""The local cloud: an AWS emulator, SES as an SMTP server and a sending API, and the project's stack deployed to it.
The operator's commands (cli) and anything that runs in AWS (email_handler, functions) do not belong here."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The checkout: where template.yaml, samples and ``.local`` are."""
