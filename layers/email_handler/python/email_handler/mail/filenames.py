"""Names of attachments: declared names made safe, and default names for attachments without one."""

import re

from email_handler.mail.headers import clean
from email_handler.mail.patterns import regex

MAX_NAME = 150  # characters: in most scripts under the 255 bytes of file systems

# Characters that some file system forbids, and those that change the writing direction (``exe.fdp`` shown as
# ``pdf.exe``). Separators become underscores: ``Rechnung 1/2.pdf`` is a title.
_UNSAFE = regex(r'[/\\:*?"<>|]')
_DIRECTION = regex("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DRIVE = regex(r"(?i)[a-z]:\\(?:.*\\)?")

_ENDING = regex(r"[^@]{0,40}[0-9][^@]{0,40}|[^@]|tar", re.IGNORECASE)
_MAX_ENDINGS = 8

_NAMES = {
    "application/ms-tnef": "winmail.dat",
    "application/vnd.ms-tnef": "winmail.dat",
    "application/pgp-encrypted": "pgp-version.asc",
    "application/pgp-keys": "public-key.asc",
    "application/pgp-signature": "signature.asc",
    "application/pkcs7-mime": "smime.p7m",
    "application/x-pkcs7-mime": "smime.p7m",
    "application/pkcs7-signature": "smime.p7s",
    "application/x-pkcs7-signature": "smime.p7s",
    "message/delivery-status": "delivery-status.txt",
    "message/disposition-notification": "disposition-notification.txt",
    "message/feedback-report": "feedback-report.txt",
    "text/calendar": "invitation.ics",
    "text/rfc822-headers": "headers.txt",
    "text/vcard": "contact.vcf",
    "text/x-vcard": "contact.vcf",
    "text/directory": "contact.vcf",
}
# Types whose subtype is the usual extension.
_SUBTYPE_IS_EXTENSION = frozenset(
    (
        "application/json", "application/pdf", "application/rtf", "application/xml", "application/zip", "audio/wav",
        "image/bmp", "image/gif", "image/heic", "image/jpg", "image/png", "image/tiff", "image/webp", "text/css",
        "text/csv", "text/html", "text/rtf", "text/xml", "video/mp4",
    )
)  # fmt: skip
_EXTENSIONS = {
    "application/gzip": "gz",
    "application/msword": "doc",
    "application/postscript": "ps",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/x-wav": "wav",
    "image/jpeg": "jpg",
    "image/pjpeg": "jpg",
    "image/svg+xml": "svg",
    "video/mpeg": "mpg",
    "video/quicktime": "mov",
}
_KINDS = {
    "audio": ("audio", "bin"),
    "image": ("image", "bin"),
    "message": ("message", "eml"),
    "text": ("text", "txt"),
    "video": ("video", "bin"),
}


def safe_filename(name: str) -> str:
    """Return the declared, decoded *name* in a form that any file system accepts, "" if nothing is left.

    One line, no separators, no control or direction characters, no leading dots, at most MAX_NAME characters; the
    extension is kept.
    """
    name = _DRIVE.sub("", _DIRECTION.sub("", clean(name)), count=1)
    name = _UNSAFE.sub("_", name).strip(" .")
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        if dot and len(extension) <= 16:  # noqa: PLR2004 - longer ones are not extensions
            name = f"{stem[: MAX_NAME - len(extension) - 1]}.{extension}"
    return name[:MAX_NAME].strip(" .")


def without_endings(name: str) -> str:
    """Return *name* without its extension, and without what stands before that and ends the name of no host: a version
    (``v2``, ``2026``) or ``tar``."""
    stem = name.rpartition(".")[0]
    for _ in range(_MAX_ENDINGS):
        before, dot, ending = stem.rpartition(".")
        if not dot or not _ENDING.fullmatch(ending):
            break
        stem = before
    return stem


def default_name(content_type: str, number: int) -> str:
    """Return a name for the *number*-th attachment of a message that declares none for it.

    It is the usual name of such a part (``smime.p7s``, ``winmail.dat``) or the kind, the number and the extension.
    """
    if content_type in _NAMES:
        return _NAMES[content_type]
    kind, _, subtype = content_type.partition("/")
    stem, fallback = _KINDS.get(kind, ("attachment", "bin"))
    extension = subtype if content_type in _SUBTYPE_IS_EXTENSION else _EXTENSIONS.get(content_type, fallback)
    return f"{stem}-{number}.{extension}"
