"""What DNS says, through dnspython. The operator's machine asks; the functions in Lambda never do."""

from operations.errors import CommandError

SECONDS = 4.0  # for one question, all name servers together


class Dns:
    """A resolver."""

    def __init__(self, server: str = "") -> None:
        """Ask *server* (an IP address, perhaps with a port), or the system's name servers. Raises CommandError."""
        from dns.exception import DNSException, Timeout  # noqa: PLC0415  (takes 0.1 s, and most commands need no DNS)
        from dns.resolver import Resolver  # noqa: PLC0415

        self._failures, self._silence = DNSException, Timeout
        self._resolver: Resolver | None
        try:
            self._resolver = Resolver(configure=not server)
            if server:
                address, _, port = server.rpartition(":") if server.count(":") == 1 else (server, "", "53")
                self._resolver.nameservers, self._resolver.port = [address], int(port)
        except ValueError as error:
            raise CommandError(f"{server} is no name server: give an IP address, such as 192.0.2.53") from error
        except DNSException:  # this machine names no name server
            self._resolver = None

    def values(self, name: str, kind: str) -> list[str] | None:
        """Return the values of the record *name* of *kind* as in a zone file, [] for none, None if nobody answers."""
        from dns.resolver import NXDOMAIN, NoAnswer  # noqa: PLC0415

        if self._resolver is None:
            return None
        try:
            found = self._resolver.resolve(name, kind, lifetime=SECONDS, search=False)
        except (NXDOMAIN, NoAnswer):
            return []
        except self._silence:
            self._resolver = None  # nor would it answer the next questions
            return None
        except self._failures:
            return None
        return sorted(each.to_text() for each in found)


def asks_strict_alignment(record: str) -> bool:
    """Return whether a DMARC *record* (as in a zone file or as text) asks for strict DKIM alignment (RFC 7489 §6.3)."""
    return "adkim=s" in "".join(record.lower().replace('"', "").split()).split(";")
