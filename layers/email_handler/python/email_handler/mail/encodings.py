"""Transfer encodings (RFC 2045 §6) and uuencode, decoded from any bytes. Nothing raises."""

import binascii

MAX_UU_LINES = 1000  # short lines of a uuencoded part; hostile parts have nothing else
LONE_LAST = 3  # missing characters of base64: the last one encodes no whole byte


def decode_base64(data: bytes) -> tuple[bytes, int]:
    """Return the decoded bytes of *data* and how many characters are missing at its end.

    Characters outside the alphabet are skipped and missing padding is added. If :data:`LONE_LAST` characters are
    missing, the last one encodes no whole byte and is ignored.
    """
    for missing, padding in ((0, b""), (2, b"=="), (LONE_LAST, b"A==")):
        try:
            decoded = binascii.a2b_base64(data + padding)  # noqa: TID251 - the one safe place
        except binascii.Error:
            continue
        return decoded[:-1] if missing == LONE_LAST else decoded, missing
    return b"", LONE_LAST


def decode_quoted_printable(data: bytes, *, header: bool = False) -> bytes:
    """Return the decoded bytes of *data*; what is not an escape stays. *header*: an underscore is a space."""
    return binascii.a2b_qp(data, header=header)


def decode_uuencoded(body: bytes) -> bytes:
    """Return the decoded bytes of the file in *body*, or *body* if there is none."""
    split = body.splitlines()
    if len(split) > MAX_UU_LINES + len(body) // 20:  # full lines have 61 characters
        return body
    lines = iter(split)
    for line in lines:
        if line.startswith(b"begin "):
            break
    decoded = []
    for line in lines:
        if line.strip() == b"end":
            break
        decoded.append(decode_uuencoded_line(line))
    return b"".join(decoded) or body


def decode_uuencoded_line(line: bytes) -> bytes:
    """Return the decoded bytes of one *line*, ``b""`` if it is not uuencoded.

    Some encoders write more characters than the line's count needs; those are left out.
    """
    if not line:
        return b""
    needed = (((line[0] - 32) & 63) * 4 + 5) // 3  # the count and the characters that it needs
    for text in (line, line[:needed]):
        try:
            return binascii.a2b_uu(text)  # noqa: TID251 - the one safe place
        except binascii.Error:
            continue
    return b""
