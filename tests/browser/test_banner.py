"""In a real Chromium, whatever the contact's HTML does, the owner sees who wrote and every warning, on top of the page."""

import json
import random
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from email_handler.conversations.disposition import Outcome, Reason
from email_handler.mail.confinement import confine
from email_handler.mail.parsing import parse
from email_handler.outgoing import banner
from email_handler.outgoing.forward import compose_forward
from tests.browser.hostile import PAGES
from tests.support.builders import mail
from tests.support.chromium import Chromium, chromium
from tests.support.compositions import forward_context

VIEWS = {  # width, height, dark, mobile
    "wide, light": (1000, 800, False, False),
    "wide, dark": (1000, 800, True, False),
    "narrow, dark": (360, 800, True, True),
    "narrow, light": (360, 800, False, True),
}
CHANGES: dict[str, Any] = {
    "verified": False,
    "verification": "nothing aligned",
    "outcome": Outcome.FLAG,
    "possible_duplicate": True,
    "reply_address": "sales@elsewhere.example",
    "reply_differs": True,
}
MESSAGE = parse(mail())
SHOWN = banner.banner(MESSAGE, forward_context(MESSAGE, **CHANGES))
SAID = [
    "[Only you see this:",
    *(line for box in SHOWN.boxes for line in (box.title, box.text)),
    *(f"{title}: {text}" for title, text in SHOWN.notes),
    f"Jane Doe {SHOWN.who.address} · not verified · first message]",
]

# For each line of the banner: its text, and what is wrong with how it is shown.
MEASURE = """
(async () => {
  const frames = n => new Promise(done => { const step = () => n-- ? requestAnimationFrame(step) : done(); step() });
  await frames(2);
  for (const one of document.getAnimations()) { try { one.finish() } catch {} }
  await frames(1);
  const rgb = color => (color.match(/[\\d.]+/g) || []).map(Number);
  const light = color => rgb(color).slice(0, 3).map(c => c / 255).map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const lines = [...document.querySelectorAll('div[class^=our-]')].filter(one => !one.closest('section'));
  const wrong = [];
  if (scrollX || scrollY) wrong.push('the page has scrolled');
  if (visualViewport.scale < .99) wrong.push('the page is shrunk: ' + visualViewport.scale);
  for (const line of lines) {
    const say = what => wrong.push(line.textContent.slice(0, 30) + ': ' + what);
    const range = document.createRange();
    range.selectNodeContents(line);
    const boxes = [...range.getClientRects()];
    if (!boxes.length) say('not laid out');
    for (const box of boxes) {
      if (box.top < 0 || box.left < 0 || box.right > document.documentElement.clientWidth || box.bottom > innerHeight) say('outside the first screen');
      if (box.height < 10 || box.width < 3) say('tiny');
      for (const x of [box.left + 1, box.left + box.width / 4, box.left + box.width / 2, box.right - 1])
        for (const y of [box.top + 2, box.top + box.height / 2, box.bottom - 2])
          if (!line.contains(document.elementFromPoint(x, y))) { say('covered'); break }
    }
    const style = getComputedStyle(line), [a, b] = [light(style.color), light(style.backgroundColor)];
    if (rgb(style.backgroundColor)[3] === 0) say('no background');
    if ((Math.max(a, b) + .05) / (Math.min(a, b) + .05) < 4.5) say('no contrast');
    if (parseFloat(style.fontSize) < 11) say('small');
    for (let one = line; one; one = one.parentElement) {
      const up = getComputedStyle(one);
      if (up.visibility !== 'visible' || up.display === 'none' || up.opacity !== '1') say('invisible');
      for (const name of ['transform', 'translate', 'scale', 'filter', 'clipPath', 'maskImage', 'animationName'])
        if (up[name] !== 'none') say(name);
      if (up.position !== 'static' || up.float !== 'none' || up.mixBlendMode !== 'normal' || up.zoom !== '1') say('moved');
    }
  }
  const end = lines.length ? Math.max(...lines.map(one => one.getBoundingClientRect().bottom)) : 0;
  const area = {x: 0, y: 0, width: document.documentElement.clientWidth, height: Math.ceil(end), scale: 1};
  return {lines: lines.map(one => one.textContent.replaceAll('\\u00a0', ' ')), wrong: [...new Set(wrong)], area};
})()
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    """Start Chromium once for all tests."""
    with chromium() as running:
        yield running


@cache
def forwarded(page: str) -> str:
    """Return the HTML that the owner gets for a message with *page*."""
    message = parse(mail(text=None, html=page))
    return parse(compose_forward(message, forward_context(message, **CHANGES)).raw).html


def measured(browser: Chromium, page: str) -> tuple[list[str], list[str], dict[str, Any]]:
    browser.show(page)
    found = browser.run(MEASURE)
    return found["lines"], found["wrong"], found["area"]


def picture(browser: Chromium, area: dict[str, Any]) -> str:
    shot = browser.call("Page.captureScreenshot", format="png", clip=area, optimizeForSpeed=True)
    return str(shot["data"])


@pytest.mark.parametrize("view", VIEWS)
def test_every_warning_and_who_wrote_are_visible_and_topmost(browser: Chromium, view: str) -> None:
    width, height, dark, mobile = VIEWS[view]
    browser.view(width, height, dark=dark, mobile=mobile)
    expected, nothing, area = measured(browser, forwarded("<p>Hello</p>"))
    wanted = picture(browser, area)
    assert nothing == []
    assert expected == SAID
    assert (len(SHOWN.boxes), len(SHOWN.notes)) == (3, 1)

    failures = {}
    for name, page in PAGES.items():
        lines, wrong, place = measured(browser, forwarded(page))
        wrong += [] if lines == expected and place == area else ["other lines, or elsewhere"]
        if not mobile:  # what no measure finds, such as a shadow
            wrong += [] if picture(browser, area) == wanted else ["looks different"]
        wrong += [f"{kind} from {url}" for kind, url in browser.requests if kind != "Image"]
        if wrong:
            failures[name] = wrong
    assert failures == {}
    assert len(PAGES) >= 100


LIMIT = Reason(stage="limit", rule="html-tags")
VIRUS = Reason(stage="verdicts", rule="virus-unsure")
EACH: dict[str, tuple[bytes, dict[str, Any]]] = {  # by the title of the box
    "Not verified": (mail(), {"verified": False}),
    "Looks like spam": (mail(), {"outcome": Outcome.FLAG, "reasons": (Reason(stage="patterns", rule="a", weight=1),)}),
    "May hold a virus": (mail(), {"outcome": Outcome.FLAG, "reasons": (VIRUS,)}),
    "Could not be checked": (mail(), {"outcome": Outcome.FLAG, "reasons": (LIMIT,)}),
    "Your reply would go elsewhere": (mail(), {"reply_address": "x@elsewhere.example", "reply_differs": True}),
    "You cannot reply": (mail(), {"reply_address": ""}),
    "Your last reply": (mail(), {"tells": ("plan.zip (encrypted)",)}),
    "You may have this already": (mail(), {"possible_duplicate": True}),
    "Not everything is here": (mail(attachments=[("a.zip", "application/zip", b"PK")]), {"text_only": True}),
    "Automatic message": (mail(), {"automatic": "precedence"}),
    "Automatic reply": (mail(auto_submitted="auto-replied"), {"automatic": "auto-submitted"}),
    "Newsletter or mailing list": (mail(list_id="<n.garden.example>"), {}),
    "Bounce": (mail(), {"automatic": "mailer-daemon"}),
}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_each_warning_is_visible_on_a_phone(browser: Chromium, dark: bool) -> None:
    browser.view(360, 800, dark=dark, mobile=True)

    failures = {}
    for title, (raw, changes) in EACH.items():
        message = parse(raw)
        page = parse(compose_forward(message, forward_context(message, **changes)).raw).html
        lines, wrong, _ = measured(browser, page)
        if wrong or not any(title in line for line in lines):
            failures[title] = [*wrong, *lines]

    assert failures == {}


def test_the_measures_notice_what_the_same_pages_do_if_they_are_not_confined(browser: Chromium) -> None:
    browser.view(1000, 800, dark=False, mobile=False)
    expected, _, _ = measured(browser, forwarded("<p>Hello</p>"))
    html = banner.as_html(SHOWN)

    noticed = 0
    for name, page in PAGES.items():
        if "scripts" in name or "refresh" in name or "plaintext" in name:
            continue
        lines, wrong, _ = measured(
            browser, page.replace("<body>", f"<body>{html}") if "<body>" in page else html + page
        )
        noticed += bool(wrong) or lines[: len(expected)] != expected

    assert noticed > len(PAGES) / 2


STRUCTURE = """
(pages => pages.map(html => {
  const page = new DOMParser().parseFromString(html, 'text/html');
  const names = parent => [...parent.childNodes].map(node => node.id || node.nodeName).join(' ');
  const cells = page.querySelectorAll('#frame > tbody > tr > td'), section = page.querySelector('section');
  return names(page.body) === 'banner frame end' && cells.length === 1 && names(cells[0]) === 'SECTION'
    && section.attributes.length === 0 && names(section) === 'ARTICLE' && section.firstChild.classList[0] === 'theirs';
}))
"""
NAMES = [
    "a",
    "article",
    "b",
    "body",
    "br",
    "button",
    "caption",
    "center",
    "col",
    "colgroup",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "font",
    "form",
    "frameset",
    "h1",
    "h2",
    "head",
    "hr",
    "html",
    "i",
    "iframe",
    "img",
    "input",
    "li",
    "listing",
    "marquee",
    "math",
    "nobr",
    "noscript",
    "object",
    "ol",
    "optgroup",
    "option",
    "p",
    "plaintext",
    "pre",
    "rt",
    "ruby",
    "section",
    "select",
    "span",
    "style",
    "svg",
    "table",
    "tbody",
    "td",
    "template",
    "textarea",
    "tfoot",
    "th",
    "thead",
    "title",
    "tr",
    "u",
    "ul",
    "xmp",
    "x:y",
]
OFTEN = [
    "a",
    "article",
    "b",
    "caption",
    "center",
    "col",
    "colgroup",
    "div",
    "font",
    "h1",
    "li",
    "p",
    "section",
    "span",
    "table",
    "tbody",
    "td",
    "tr",
    "ul",
]


def test_no_structure_leaves_the_frame_in_the_tree_that_a_browser_builds(browser: Chromium) -> None:
    chosen = random.Random(4)

    def tag() -> str:
        name = chosen.choice(OFTEN if chosen.random() < 0.7 else NAMES)
        return chosen.choice((f"<{name}>", f"<{name} class=x>", f"</{name}>", f"</{name}>", "x"))

    sources = ["".join(tag() for _ in range(chosen.randint(1, 30))) for _ in range(1500)]
    frame = "<!DOCTYPE html><body><div id=banner>x</div><table id=frame><tbody><tr><td><section>{}</section></td></tr></tbody></table><p id=end>x</p>"

    browser.show("<p>")
    kept = browser.run(f"{STRUCTURE}({json.dumps([frame.format(confine(source).body) for source in sources])})")

    assert [source for source, inside in zip(sources, kept, strict=True) if not inside] == []


NEWSLETTER = """<!DOCTYPE html><html><head><style>
  body { margin: 0; background: #eef1f4; font-family: Georgia, serif }
  .card { border-radius: 6px; border: 1px solid #ccd } h1 { font-size: 28px; color: #234; margin: 0 0 12px }
  td.side { width: 120px; background: #f7f7f7 } .button { display: inline-block; padding: 10px 18px; background: #0a6; color: #fff }
  @media (max-width: 500px) { .side { display: none } }
</style></head><body bgcolor="#eef1f4"><center>
<table width="600" align="center" cellpadding="0" cellspacing="0" border="0" bgcolor="#ffffff" class="card">
 <tr><td colspan="2" bgcolor="#223344" style="padding:20px;color:#ffffff;font:bold 22px/28px Arial,sans-serif">Garden news
 <tr><td class="side" valign="top"><ul style="padding:0 0 0 20px"><li>one<li>two</ul>
 <td style="padding:16px 24px" valign="top"><h1>Spring is here</h1><p style="font-size:15px;line-height:22px;color:#444">Plant <b>now</b>,
 <i>or</i> <a href="https://garden.example/" style="color:#0a6;text-decoration:none">later</a>.<p><font color="#aa0000" size="2">Last chance</font>
 <p><a class="button" href="https://garden.example/buy">Buy</a>
 <tr><td colspan="2" align="center" style="font-size:0;line-height:0;height:1px;background-color:#dddddd">&nbsp;
</table></center></body></html>"""
LOOKS = """
[...document.querySelectorAll('table:not([role]), table:not([role]) *')].filter(one => one.nodeName !== 'TBODY').map(one => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  return [one.nodeName, Math.round(box.width), Math.round(box.height), style.color, style.backgroundColor, style.font,
    style.textAlign, style.padding, style.borderTop, style.display].join(' | ');
})
"""


@pytest.mark.parametrize("width", [1000, 375])
def test_a_newsletter_looks_as_it_did(browser: Chromium, width: int) -> None:
    browser.view(width, 800, dark=False, mobile=False)
    browser.show(NEWSLETTER)
    before = browser.run(LOOKS)
    browser.show(forwarded(NEWSLETTER))

    assert browser.run(LOOKS) == before
    assert len(before) == 20
