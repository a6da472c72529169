"""Small PDFs, object by object."""

import zlib


def pdf(*objects: bytes, trailer: bytes = b"") -> bytes:
    """Return a document of *objects*, numbered from 1. Its cross-reference table is empty: readers rebuild it."""
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (number, content) for number, content in enumerate(objects, 1))
    return b"%PDF-1.7\n" + body + b"trailer\n<< /Size 99 " + trailer + b">>\nstartxref\n0\n%%EOF\n"


def stream(content: bytes, dictionary: bytes = b"") -> bytes:
    """Return a stream object of the encoded *content*."""
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), dictionary, content)


def flate(content: bytes, dictionary: bytes = b"") -> bytes:
    """Return a stream object of *content*, deflated."""
    return stream(zlib.compress(content), b"/Filter /FlateDecode " + dictionary)


def page(drawn: bytes, *further: bytes, fonts: bytes = b"") -> bytes:
    """Return a document of one page whose content stream is *drawn*. *further* objects begin at number 3; *fonts* is
    the inside of its font dictionary."""
    return pdf(b"<< /Type /Page /Contents 2 0 R /Resources << /Font << %s >> >> >>" % fonts, flate(drawn), *further)
