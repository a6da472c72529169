"""CSS of a message applies to its own elements only, and cannot take them elsewhere."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from email_handler.mail import css

DROPPED = """
position:fixed | position:absolute | position:sticky | p\\6fsition:fixed | POSITION:FIXED | top:-99px | inset:0
margin:-10px | margin-top:-1em | margin:calc(-1*99px) | margin:var(--x) | transform:scale(0) | translate:0 -99px | rotate:3deg
z-index:9 | float:inline-start | animation:a 1s | animation-name:a | transition:all 1s | filter:blur(9px) | backdrop-filter:none
clip:rect(0,0,0,0) | clip-path:none | mask:none | mix-blend-mode:multiply | outline:99px solid red | box-shadow:0 -9px red
text-shadow:0 -9px red | content:'x' | contain:none | display:contents | display:flex | display:grid | display:run-in
all:unset | zoom:0 | perspective:1px | will-change:transform | offset-path:none | anchor-name:--a | scroll-margin:9px
background:url(javascript:x) | background:url(//x.example/a) | background:url(data:text/html,x) | background:image-set('x')
width:expression(alert(1)) | behavior:url(x) | -moz-binding:url(x) | width:env(x) | width:attr(x px) | color:var(--x)
font-size:9999px | font-size:99em | width:99999px | line-height:-1 | text-indent:-999px | padding:-1px | vertical-align:-99px
--x:1 | color:r<ed | mso-element:frame | background-attachment:fixed | font:9999px x
border-image:url(https://x.example) 9 | cursor:url(https://x.example/c) | src:url(https://x.example/f) | color-scheme:dark
""".replace("\n", " | ").split(" | ")


@pytest.mark.parametrize("declared", [one for one in DROPPED if one.strip()])
def test_what_is_not_known_to_stay_in_its_place_is_dropped(declared: str) -> None:
    left = css.inline(declared)

    assert left in ("", "color:red")
    assert css.scoped(f"p{{{declared}}}", ".theirs") in ("", ".theirs p{color:red}")


@pytest.mark.parametrize(
    "declared",
    [
        "color:#abc", "color:rgb(1,2,3)", "background-color:transparent", "margin:0 auto", "padding:10px 5%",
        "font:bold 12px/1.5 Arial,sans-serif", "font-family:'Open Sans',Arial", "display:none!important", "float:left",
        "border:1px solid #ccc", "border-collapse:collapse", "width:100%", "max-width:600px", "line-height:0",
        "font-size:0", "letter-spacing:-0.5px", "width:calc(100% - 20px)", "mso-line-height-rule:exactly",
        'background:#fff url("https://x.example/a.png") no-repeat', "vertical-align:top", "text-align:center",
    ],
)  # fmt: skip
def test_what_newsletters_need_is_kept(declared: str) -> None:
    assert css.inline(declared) == declared


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        ("p", ".theirs p"),
        ("*", ".theirs *"),
        ("body", ".theirs"),
        ("html body.a > p", ".theirs.a>p"),
        (":root", ".theirs"),
        ("BODY table td", ".theirs table td"),
        ("a:hover, .b", ".theirs a:hover,.theirs .b"),
        ("a, .b::before", ""),
        ("#x+.y~z", ".theirs #x+.y~z"),
        ("u + .body .x", ".theirs u+.body .x"),
        ('td[class="a b"]', '.theirs td[class="a b"]'),
        (".\\31 a", ".theirs .\\31 a"),
        (".md\\:w\\>x", ".theirs .md\\:w\\>x"),
        ("body + div", ""),
        ("html ~ *", ""),
        ("body > body ~ div", ""),
        (":has(p)", ""),
        (":is(body)", ""),
        (":not(p)", ""),
        ("p:host", ""),
        ("& div", ""),
        (".a >", ""),
        ("> p", ".theirs>p"),
        ("+ p", ""),
        ("svg|a", ""),
    ],
)  # fmt: skip
def test_a_selector_reaches_only_what_is_below_its_scope(selector: str, kept: str) -> None:
    sheet = css.scoped(f"{selector}{{color:red}}", ".theirs")

    assert sheet == (f"{kept}{{color:red}}" if kept else "")


@pytest.mark.parametrize(
    "sheet",
    [
        "@import url(https://x.example/a.css);", "@font-face{font-family:x;src:url(https://x.example/f)}",
        "@keyframes a{from{color:red}}", "@layer a{p{color:red}}", "@layer a;", "@container (width>1px){p{color:red}}",
        "@scope (body){p{color:red}}", "@supports (color:red){p{color:red}}", "@page{margin:0}", "@charset 'utf-8';",
        "@namespace svg url(x);", "@property --x{syntax:'*'}", "@media (x<1){p{color:red}}", "@media x{@media y{p{color:red}}}",
        "@position-try --a{top:0}", "@view-transition{navigation:auto}", "@starting-style{p{color:red}}", "p{&{color:red}}",
        "p{@media x{color:red}}", "</style><p>", "{color:red}", "}}}p", "p{color:red", "@medi\\61  x{", "/*", "<!--", "\\",
    ],
)  # fmt: skip
def test_other_rules_are_dropped(sheet: str) -> None:
    assert css.scoped(sheet, ".theirs") in ("", ".theirs p{color:red}")


def test_a_rule_behind_a_broken_one_is_kept() -> None:
    assert css.scoped("<!-- p{]} .a{color:red} -->", ".theirs") == ".theirs .a{color:red}"


_PIECES = st.sampled_from(
    ["p", "body", "*", ".", "#", ":", "::", "root", "{", "}", "(", ")", "[", "]", "@", "media", "import", ";", ",", "\\", "\n",
     "/*", "*/", "<!--", "-->", "</style", ">", "<", "+", "~", "&", "'", '"', "url(", "color", "red", "position", "fixed", "1px",
     "-9", "!important", "!", " ", "\\7b ", "--x", "%", "=", "a", "\0", "é"]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=40).map("".join))
def test_any_sheet_becomes_rules_for_the_scope(sheet: str) -> None:
    written = css.scoped(sheet, ".theirs")

    rule = r"(?:\.theirs[^{}<]*\{[^{}<]+\}\n?)"
    assert re.fullmatch(rf"(?:{rule}|@media [^{{}}<]+\{{\n{rule}+\}}\n?)*", written)
    assert "position" not in re.sub(r"[.#\[:]\S*position|position[\w-]*[^:;{}]*\{", "", written)
