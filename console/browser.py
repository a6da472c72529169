"""Shows the console in the user's browser, without the link in a command line, which every user of the machine can read."""

import shutil
import tempfile
import webbrowser
from html import escape
from pathlib import Path

from console.session import Session

PATIENCE = 60.0  # seconds for which a browser that is slow to start finds the file


def show(session: Session) -> None:
    """Open *session*'s link in a browser: by a file that only the user can read, and that is gone once a browser has
    followed it.

    It lies in the home folder, since browsers from Snap read neither hidden folders there nor /tmp. If there can be no
    file, or no browser, the printed link must do.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="email-handler-console-", dir=Path.home()))
    except OSError:
        return
    try:
        file = folder / "open.html"
        file.touch(0o600)
        file.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(session.link)}">')
        if webbrowser.open(file.as_uri()):
            session.opened.wait(PATIENCE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
