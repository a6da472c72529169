"""The local cloud: an emulator of AWS, SES's door in and door out, and the project's own template deployed to it."""

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The checkout: where template.yaml, samples and ``.local`` are."""
