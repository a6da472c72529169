"""Text sent as ``format=flowed`` (RFC 3676): lines that were broken for transport, joined again."""

MAX_FLOWED = 1_000_000  # characters; longer text stays as it came, no person wrote that


def unflow(text: str, *, delsp: bool) -> str:
    """Return *text* (lines ended by LF) with its flowed paragraphs on one line each (RFC 3676 §4).

    Quotation marks are written as ``"> "`` once for each level; space-stuffing is undone; a signature separator
    stays a line of its own. *delsp*: the space at the end of a flowed line is no text.
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
