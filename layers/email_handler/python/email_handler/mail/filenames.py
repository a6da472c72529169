"""Names of attachments: what the mail says made safe, and names for those that have none."""

import re

from email_handler.mail.headers import clean

MAX_NAME = 150  # characters: under 255 octets for file systems in most scripts, far under S3's 1,024 for a key

# What may stand in no file name on one of the systems a person might save it to, and what turns the direction of
# writing (``exe.fdp`` shown as ``pdf.exe``). Separators become underscores: ``Rechnung 1/2.pdf`` is a title.
_UNSAFE = re.compile(r'[/\\:*?"<>|]')
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_DRIVE = re.compile(r"(?i)[a-z]:\\(?:.*\\)?")

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
_EXTENSIONS = {
    "application/gzip": "gz",
    "application/json": "json",
    "application/msword": "doc",
    "application/pdf": "pdf",
    "application/postscript": "ps",
    "application/rtf": "rtf",
    "application/vnd.ms-excel": "xls",
    "application/vnd.ms-powerpoint": "ppt",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/xml": "xml",
    "application/zip": "zip",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "image/bmp": "bmp",
    "image/gif": "gif",
    "image/heic": "heic",
    "image/jpeg": "jpg",
    "image/jpg": "jpg",
    "image/pjpeg": "jpg",
    "image/png": "png",
    "image/svg+xml": "svg",
    "image/tiff": "tiff",
    "image/webp": "webp",
    "text/css": "css",
    "text/csv": "csv",
    "text/html": "html",
    "text/rtf": "rtf",
    "text/xml": "xml",
    "video/mp4": "mp4",
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
    """Return the declared, decoded *name* on one line, fit for any file system and a key in the archive:
    no separators, no control or direction characters, no leading dots, at most MAX_NAME characters with the
    extension kept. "" where nothing is left."""
    name = _DRIVE.sub("", _DIRECTION.sub("", clean(name)), count=1)
    name = _UNSAFE.sub("_", name).strip(" .")
    if len(name) > MAX_NAME:
        stem, dot, extension = name.rpartition(".")
        name = f"{stem[: MAX_NAME - len(extension) - 1]}.{extension}" if dot and len(extension) <= 16 else name  # noqa: PLR2004
    return name[:MAX_NAME].strip(" .")


def made_up_name(content_type: str, number: int) -> str:
    """Return a name for the *number*-th attachment of a mail that gives it none: what such a part is called
    everywhere (``smime.p7s``, ``winmail.dat``), else its kind, its number and its type's extension."""
    if content_type in _NAMES:
        return _NAMES[content_type]
    stem, extension = _KINDS.get(content_type.partition("/")[0], ("attachment", "bin"))
    return f"{stem}-{number}.{_EXTENSIONS.get(content_type, extension)}"
