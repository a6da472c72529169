"""Text sent as ``format=flowed`` (RFC 3676): joining the lines that were broken for transport."""

MAX_FLOWED = 1_000_000  # characters; no person writes more, so longer text stays unchanged


def unflow(text: str, *, delsp: bool) -> str:
    """Return *text* (lines ended by LF) with each flowed paragraph on one line (RFC 3676 §4).

    Quote marks become one ``>`` for each level and a space; space-stuffing is removed; a signature separator
    stays on its own line. *delsp*: the space that ends a flowed line is not part of the text.
    """
    if len(text) > MAX_FLOWED:
        return text
    lines: list[str] = []
    paragraph: list[str] = []
    level = 0

    def end_paragraph() -> None:
        if paragraph:
            mark = ">" * level + " " if level else ""
            lines.append(mark + "".join(paragraph))
            paragraph.clear()

    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        if content == "-- " or depth != level:
            end_paragraph()
            level = depth
        if content.endswith(" ") and content != "-- ":
            paragraph.append(content[:-1] if delsp else content)
        else:
            paragraph.append(content)
            end_paragraph()
    end_paragraph()
    return "\n".join(lines)
