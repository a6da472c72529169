"""The authorities that AWS's certificates are checked against, read once.

botocore makes a TLS context for each client, and for each connection urllib3 reads botocore's 140 authorities into it
again: 12 ms of the processor, eight times in a first invocation of inbound.
"""

from collections.abc import Iterable
from functools import cache
from ssl import SSLContext
from threading import Lock
from typing import Any

import botocore.httpsession

_HTTP: Any = botocore.httpsession


class _Context(SSLContext):
    """A context that is not told twice whom to trust and what to speak: other threads connect by it meanwhile."""

    def __init__(self, *_: Any) -> None:
        self._told: set[tuple[Any, ...]] = set()
        self._telling = Lock()  # whoever comes second connects when all is read

    def load_verify_locations(self, *where: Any) -> None:
        with self._telling:
            if where not in self._told:
                super().load_verify_locations(*where)
                self._told.add(where)

    def set_alpn_protocols(self, protocols: Iterable[str]) -> None:
        spoken = ("ALPN", *protocols)
        with self._telling:
            if spoken not in self._told:
                super().set_alpn_protocols(spoken[1:])
                self._told.add(spoken)


def share_authorities() -> None:
    """Let clients made from now on share one TLS context, with botocore's own settings. All of them trust whom any of
    them was made to trust."""
    _HTTP.SSLContext = _Context
    _HTTP.create_urllib3_context = cache(_HTTP.create_urllib3_context)
