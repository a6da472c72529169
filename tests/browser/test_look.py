"""In a real Chromium, every text of what owner and contact get can be read: wide and narrow, light and dark, by anyone."""

import json
from collections.abc import Iterator
from functools import cache

import pytest

from email_handler.mail.parsing import parse
from tests.browser.pictures import pictures
from tests.support.chromium import Chromium, chromium

# What is wrong with how the page shows its texts: contrast by WCAG 2.2 §1.4.3, size, width, what a screen reader needs.
MEASURE = """
(() => {
  const rgb = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = color => rgb(color).slice(0, 3).map(c => c / 255).map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const ground = one => { for (; one; one = one.parentElement) { const color = getComputedStyle(one).backgroundColor;
    if (rgb(color)[3] !== 0) return color } return 'rgb(255, 255, 255)' };
  const wrong = [], read = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text; text = texts.nextNode();) {
    const one = text.parentElement, style = getComputedStyle(one), said = text.textContent.trim();
    if (!said || !one.checkVisibility()) continue;
    read.push(said);
    const [a, b] = [light(style.color), light(ground(one))], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) wrong.push(said.slice(0, 30) + ': contrast ' + ratio.toFixed(2));
    if (parseFloat(style.fontSize) < 13) wrong.push(said.slice(0, 30) + ': small');
  }
  const room = document.documentElement;
  if (room.scrollWidth > room.clientWidth) wrong.push('wider than the window: ' + room.scrollWidth);
  if (!room.lang) wrong.push('no language');
  if (!document.title) wrong.push('no title');
  if (document.images.length) wrong.push('pictures');
  for (const table of document.querySelectorAll('table')) if (table.getAttribute('role') !== 'presentation' && !table.querySelector('th[scope]')) wrong.push('a table of no data');
  return {wrong: [...new Set(wrong)], read};
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Start Chromium once for all tests."""
    with chromium() as running:
        yield running


@cache
def pages() -> dict[str, str]:
    """Return the HTML of every email in the pictures, by name."""
    shown: dict[str, str] = {}
    for picture in pictures():
        if picture.name != "reply":  # the owner's client made that page
            shown |= {f"{picture.name} {at}": parse(raw).html for at, raw in enumerate(picture.messages)}
    return shown


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_every_text_can_be_read(browser: Chromium, width: int, dark: bool) -> None:
    browser.view(width, 800, dark=dark, mobile=width < 500)

    failures, read = {}, {}
    for name, page in pages().items():
        browser.show(page)
        found = browser.run(MEASURE)
        read[name] = found["read"]
        if found["wrong"]:
            failures[name] = found["wrong"]

    assert failures == {}
    assert len(read) >= 15
    assert all(read.values())


def test_the_measure_notices_what_cannot_be_read(browser: Chromium) -> None:
    browser.view(360, 800, dark=False, mobile=True)
    browser.show("<!DOCTYPE html><p style='color:#999;font-size:9px;width:900px'>grey</p><img><table><tr><td>x</table>")

    assert len(browser.run(MEASURE)["wrong"]) == 6 + 1


def test_nothing_is_fetched(browser: Chromium) -> None:
    for page in pages().values():
        browser.show(page)
        browser.run("new Promise(requestAnimationFrame)")

        assert browser.requests == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_dark_reader_gets_dark_pages(browser: Chromium, dark: bool) -> None:
    browser.view(360, 800, dark=dark, mobile=True)
    grounds = set()
    for page in pages().values():
        browser.show(page)
        grounds.add(browser.run("getComputedStyle(document.body).backgroundColor"))

    assert json.dumps(sorted(grounds)) == json.dumps(["rgb(27, 28, 30)" if dark else "rgb(255, 255, 255)"])
