"""Which requests the local endpoints serve: those of programs on this machine, never those of a web page in a browser.

AWS's API creates and runs functions, so whoever can send a request to the emulator runs code as the user. A page can
reach a port of this machine in two ways: it sends a request to 127.0.0.1, which the browser marks, or its own host name
resolves to 127.0.0.1 after a while (DNS rebinding), which the Host field shows.

The emulator's process imports this file, so it uses only the standard library.
"""

import re
from collections.abc import Iterable

_BROWSERS = frozenset(("origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"))
# A page can leave out Referer, and a GET of an image has no Origin, but neither can be without Sec-Fetch-Site (W3C Fetch
# Metadata §2.3). AWS's query protocol accepts GET.
_LOOPBACK = re.compile(r"(?:(?:[a-z0-9_-]+\.)*localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]+)?")
_FROM_CONTAINERS = re.compile(r"host\.docker\.internal(?::[0-9]+)?")
"""This machine's name in containers. No page can own a name below ``.internal``, a reserved domain."""


def refusal(fields: Iterable[tuple[str, str]], *, containers: bool) -> str:
    """Return why a request with these header *fields* is not served, "" if it is. *containers* may use their name for
    this machine."""
    found = [(name.lower(), value.strip().lower()) for name, value in fields]
    if sent := sorted(_BROWSERS.intersection(name for name, _ in found)):
        return f"a web page sent it ({', '.join(sent)})"
    hosts = [value for name, value in found if name == "host"]
    served = len(hosts) == 1 and (
        _LOOPBACK.fullmatch(hosts[0]) or (containers and _FROM_CONTAINERS.fullmatch(hosts[0]))
    )
    return "" if served else "its Host is not this machine"


def is_loopback(interface: str) -> bool:
    """Return whether a server that listens on *interface* can be reached from this machine alone."""
    return bool(_LOOPBACK.fullmatch(interface) or interface == "::1")
