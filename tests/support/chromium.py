"""A headless Chromium, driven over a pipe by the DevTools protocol: no driver, no port, nothing but the browser itself."""

import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--mute-audio",
    "--hide-scrollbars", "--force-color-profile=srgb", "--host-resolver-rules=MAP * ~NOTFOUND", "--remote-debugging-pipe",
)  # fmt: skip
_STOPS_IN = 10  # seconds


class Chromium:
    """A running browser with one page. Every request of the page is refused, and listed in ``requests``."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._ids = itertools.count(1)
        self._read = b""
        self.requests: list[tuple[str, str]] = []  # kind, such as Image or Stylesheet, and URL
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._frame = self.call("Page.getFrameTree")["frameTree"]["frame"]["id"]
        self.call("Page.enable")
        self.call("Fetch.enable", patterns=[{"urlPattern": "*"}])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Return the result of a command of the DevTools protocol. Raise RuntimeError if it fails."""
        number = self._send(method, parameters)
        while (answer := self._next()).get("id") != number:
            self._note(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer.get("result", {})
        return result

    def view(self, width: int, height: int, *, dark: bool, mobile: bool, scale: float = 1) -> None:
        """Set the size of the window in CSS pixels, each *scale* pixels wide, and the color scheme that the reader
        prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def show(self, page: str) -> None:
        """Show *page* in place of the last one. ``requests`` begins anew."""
        self.requests.clear()
        self.call("Page.setDocumentContent", frameId=self._frame, html=page)

    def run(self, script: str) -> Any:
        """Return the JSON value of *script*, an expression that may be a promise. Raise RuntimeError if it throws."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in done:
            raise RuntimeError(json.dumps(done["exceptionDetails"])[:1000])
        return done["result"].get("value")

    def _send(self, method: str, parameters: dict[str, Any]) -> int:
        number = next(self._ids)
        command = {"id": number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        data = json.dumps(command).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        return number

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._answers, 1 << 16)
            if not more:
                raise RuntimeError("Chromium has ended")
            self._read += more
        answer, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(answer)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        if event.get("method") == "Fetch.requestPaused":
            paused = event["params"]
            self.requests.append((paused["resourceType"], paused["request"]["url"]))
            self._send("Fetch.failRequest", {"requestId": paused["requestId"], "errorReason": "BlockedByClient"})


def executable() -> str:
    """Return the path of Chromium: of CHROMIUM, or of one of NAMES on the PATH. Raise FileNotFoundError if there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        raise FileNotFoundError(
            "The browser tests need Chromium: `make browser` installs Debian's, CHROMIUM names another"
        )
    return found


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start Chromium with a profile of its own, and stop it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        (from_us, commands), (answers, to_us) = os.pipe(), os.pipe()
        command = ["bash", "-c", f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}', executable(), *_OPTIONS]
        command += [f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, pass_fds=(from_us, to_us), stdout=quiet, stderr=quiet, stdin=quiet)
        os.close(from_us)
        os.close(to_us)
        try:
            browser = Chromium(commands, answers)
            yield browser
            browser._session = ""
            browser.call("Browser.close")
        finally:
            try:
                process.wait(_STOPS_IN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(commands)
            os.close(answers)
