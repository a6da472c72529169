"""Dates of header fields (RFC 5322 §3.3), read from any text."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime  # noqa: TID251 - the one safe place

MAX_DATE = 100  # characters of a Date value


def read_date(value: str) -> datetime | None:
    """Return *value* as an aware datetime that UTC can express; None if it is not such a date. Never raises.

    A date without a time zone is taken for UTC.
    """
    try:
        date = parsedate_to_datetime(value[:MAX_DATE])
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        date.astimezone(UTC)
    except Exception:  # noqa: BLE001 - the library documents ValueError, and raises IndexError, TypeError, OverflowError
        return None
    return date
