"""A server's TLS side: ``python -m tests.support.tls FOLDER URL…`` passes TLS connections on to plain HTTP servers.

It prints an https URL for each plain one, on one line, and runs until its standard input ends. *FOLDER* has what
:func:`issue` wrote.
"""

import ipaddress
import socket
import ssl
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def issue(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine, its own authority, to *folder*; return its path and that of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now, day = datetime.now(UTC), timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = builder.add_extension(address, critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret


def context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return the context of a server with *certificate* and *key*."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


def pass_on(url: str, tls: ssl.SSLContext) -> str:
    """Pass what comes to a new port on to *url*, in threads of their own, and return the port's URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    Thread(target=_accept, args=(listening, urlsplit(url), tls), daemon=True).start()
    return f"https://127.0.0.1:{listening.getsockname()[1]}"


def _accept(listening: socket.socket, to: SplitResult, tls: ssl.SSLContext) -> None:
    while True:
        connection, _ = listening.accept()
        Thread(target=_join, args=(connection, (to.hostname, to.port), tls), daemon=True).start()


def _join(connection: socket.socket, to: tuple[str, int], tls: ssl.SSLContext) -> None:
    with suppress(OSError), tls.wrap_socket(connection, server_side=True) as near, socket.create_connection(to) as far:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each waits 40 ms for more to send
        back = Thread(target=_copy, args=(far, near), daemon=True)
        back.start()
        _copy(near, far)
        back.join()


def _copy(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(1 << 16):
            to.sendall(some)
        to.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    tls = context(folder / "certificate.pem", folder / "key.pem")
    sys.stdout.write(" ".join(pass_on(url, tls) for url in sys.argv[2:]) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
