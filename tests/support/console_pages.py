"""What the tests of the console's pages do in a browser."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from playwright.sync_api import Page, expect


@contextmanager
def as_the_console() -> Iterator[None]:
    """Record the calls that this process makes meanwhile as the console's: for the proof of its permissions."""
    with patch.dict(os.environ, {"RECORDED_CALLER": "console"}):
        yield


def act(page: Page, label: str, button: str = "", **fields: str) -> str:
    """Open the act *label*, do it, and return what the console says that it did."""
    summary = page.locator(".act summary", has_text=label).first
    summary.click()
    form = summary.locator("xpath=..").locator("form")
    expect(form.locator("p")).not_to_be_empty()
    for name, value in fields.items():
        field = form.locator(f"[name={name}]")
        if value == "yes":
            field.check()
        else:
            field.fill(value)
    with as_the_console():
        form.locator("button", has_text=button or label).click()
        return note(page)


def arrived(page: Page, url: str) -> None:
    """Wait until *url* is open, and its script hears keys."""
    expect(page).to_have_url(url)
    page.wait_for_load_state()


def note(page: Page) -> str:
    return page.locator("main > .note[role=status] > span").inner_text()
