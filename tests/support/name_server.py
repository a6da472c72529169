"""A name server on this machine, for tests of what asks DNS."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@contextmanager
def serving(records: Mapping[tuple[str, str], list[str]]) -> Iterator[str]:
    """Answer with *records*, by name and kind, and say that no other name exists; yield the address to ask."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, records), daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.getsockname()[1]}"
        try:
            yield address
        finally:
            server.sendto(b"", server.getsockname())  # ends the thread
            thread.join()


def _serve(server: socket.socket, records: Mapping[tuple[str, str], list[str]]) -> None:
    while True:
        asked, sender = server.recvfrom(4096)
        if not asked:
            return
        query = dns.message.from_wire(asked)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if values := records.get((name, kind)):
            response.answer = [dns.rrset.from_text(question.name, 60, "IN", kind, *values)]
        elif not any(name == known for known, _ in records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        server.sendto(response.to_wire(), sender)
