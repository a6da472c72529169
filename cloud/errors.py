"""What can go wrong on a developer's machine."""


class LocalCloudError(Exception):
    """The local cloud could not do what was asked. The text is for the user: what is wrong and what to do."""
