"""What an operation cannot do."""


class CommandError(Exception):
    """The operation cannot do what was asked. The text is one line for the operator: what is wrong and what to do."""
