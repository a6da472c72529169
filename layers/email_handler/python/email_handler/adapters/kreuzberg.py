"""Port TextExtractor by kreuzberg, a library that only the attachment function contains."""

from typing import Any

import kreuzberg

from email_handler.ports import Extracted

MAX_PAYLOAD = 40 * 1024 * 1024  # bytes: the largest message that SES receives
MAX_TEXT = 2_000_000  # characters kept of one attachment
TIMEOUT = 30  # seconds for one document, well below the function's own time-out
_FAILURES = (kreuzberg.KreuzbergError, RuntimeError)  # its Rust part raises RuntimeError for an unknown format


class KreuzbergExtractor:
    """Reads PDF, Office, email and text documents. Images are not read: OCR needs language data, which is not shipped."""

    def __init__(self) -> None:
        """Configure the library once."""
        configure: Any = kreuzberg.ExtractionConfig  # its stubs do not know disable_ocr
        self._config = configure(disable_ocr=True, use_cache=False, extraction_timeout_secs=TIMEOUT)

    def extract(self, payload: bytes, name: str, declared_type: str) -> Extracted:
        """Return type and text of *payload*. Only its content decides the type: a stranger chose *name* and
        *declared_type*."""
        del name, declared_type
        if not payload:
            return Extracted(detected_type="", text="", status="no text")
        try:
            detected = kreuzberg.detect_mime_type(payload)
        except _FAILURES:
            detected = ""
        if not detected or len(payload) > MAX_PAYLOAD or (detected == "text/plain" and b"\0" in payload):
            # The library takes unknown bytes for text; a program is not text.
            unknown = "" if detected == "text/plain" else detected
            return Extracted(detected_type=unknown, text="", status="unsupported")
        try:
            content = kreuzberg.extract_bytes_sync(payload, detected, self._config).content
        except _FAILURES as error:
            return Extracted(detected_type=detected, text="", status=f"failed: {type(error).__name__}")
        text = content.strip()[:MAX_TEXT]
        return Extracted(detected_type=detected, text=text, status="extracted" if text else "no text")
