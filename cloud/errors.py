"""What can go wrong on a developer's machine, each told in one line that says what to do."""


class LocalCloudError(Exception):
    """The local cloud could not do what was asked. The text is one line for the person at the keyboard."""
