"""Search, as the reader types."""

from datetime import UTC, timedelta, timezone

from starlette.requests import Request
from starlette.responses import Response

from console.view import desk_of, page
from index.hits import Results
from index.query import QueryError, parse_query

PER_PAGE = 30
MAX_QUERY = 500
MAX_OFFSET = 14 * 60  # minutes from UTC that a zone can be


def search(request: Request) -> Response:
    """Return the page of what was found; a fragment of it while the reader types (``console.js``)."""
    desk = desk_of(request)
    desk.reading.refresh(wait=0)
    text, wrong = request.query_params.get("q", "").strip()[:MAX_QUERY], ""
    results = Results(hits=(), total=0)
    try:
        if text:
            typing = "x-fragment" in request.headers
            query = parse_query(text, _zone(request), unfinished=typing)
            results = desk.reading.index.search(query, limit=PER_PAGE)
    except QueryError as error:
        wrong = str(error)
    return page(request, "search.html", query=text, results=results, wrong=wrong)


def _zone(request: Request) -> timezone:
    """Return the reader's zone, which a cookie of our script names: dates in a query mean the reader's days."""
    text = request.cookies.get("zone", "0")
    minutes = int(text) if text.removeprefix("-").isdecimal() and len(text) < 5 else 0  # noqa: PLR2004
    return timezone(timedelta(minutes=minutes)) if abs(minutes) <= MAX_OFFSET else UTC
