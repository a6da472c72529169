"""Regular expressions that are compiled when they are first used.

There are 300 of them, and most messages meet a third: compiling them all takes a tenth of a cold start.
"""

import re
from functools import cached_property
from typing import Any, cast


class Regex:
    """Stands for a compiled pattern, and becomes as fast as one with the first use of each of its methods."""

    def __init__(self, source: str | bytes, flags: int) -> None:
        """Keep what :func:`re.compile` takes."""
        self.pattern, self._flags = source, flags

    @cached_property
    def compiled(self) -> re.Pattern[Any]:
        """The pattern. Raises re.error if it is none, which a test rules out for all of them."""
        return re.compile(self.pattern, self._flags)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.compiled, name)
        setattr(self, name, value)  # found without this function from now on
        return value


def regex[Text: (str, bytes)](source: Text, flags: int = 0) -> re.Pattern[Text]:
    """Return what :func:`re.compile` returns for *source* and *flags*, to be compiled when it is first used."""
    return cast("re.Pattern[Text]", Regex(source, flags))
