"""Subject lines: what a thread is called on each side, without the prefixes that clients and gateways add."""

from email_handler.mail.patterns import regex

MAX_SUBJECT = 400  # characters of a base subject that are compared, kept and sent: a cut one would fork the thread

# Prefixes of replies and forwards, without the colon, in lower case. The base subject of RFC 5256 §2.1 knows "re", "fw"
# and "fwd"; the others are what localised clients write.
_PREFIXES = frozenset(
    (
        "re", "fw", "fwd", "aw", "wg", "antw", "antwort", "sv", "vs", "vb", "tr", "rif", "r", "i", "res", "enc",
        "rv", "odp", "odg", "atb", "pd", "ynt", "ilt", "i\u0307lt", "vá", "bls", "trs", "tl", "σχετ", "απ", "πρθ", "отв",
        "ответ", "回复", "答复", "回覆", "轉寄", "转发", "返信", "転送", "회신", "전달", "תגובה", "הועבר", "رد",
    )
)  # fmt: skip
# Some clients count ("Re[2]:"), Chinese ones write U+FF1A.
_PREFIX = regex(r"([^\s\[:\uff1a]++)(?:\[\d+\])? ?[:\uff1a]")
_UNIVERSAL_PREFIXES = regex(r"(?i)\A(?:(?:re|fwd?) ?: *)++")
_OUTLOOK_PREFIX = regex(r"[^: 0-9]{1,3}:")  # MS-OXCMAIL 2.2.3.2.6.1: any word of up to three letters
_GATEWAY_LABELS = {"ext", "extern", "external", "external email", "externe", "externo"}
# What mail systems add in front of a subject: labels in brackets or asterisks, words with a colon.
_LABELS = regex(
    r"(?>\s*+(?:\[[^\]]{1,40}+\]|\([^)]{1,40}+\)|【[^】]{1,40}+】|\*{1,3}[^*]{1,40}+\*{1,3}|[^\s:\uff1a]{1,20}+ ?[:\uff1a]))*+\s*+"
)


def base_subject(subject: str) -> str:
    """Return *subject* without reply and forward prefixes (``Re:``, ``AW:``, ``RE[2]:``, ``回复:``) and without the
    warning labels of gateways (``[EXT]``, ``(External)``), white space folded.

    Other brackets stay: ``[ticket 7]`` is the sender's own. Linear: each step removes something from the front.
    """
    rest = " ".join(subject.split())[: MAX_SUBJECT * 2]
    while True:
        rest = rest.lstrip()
        shorter = _without_label(_without_prefix(rest))
        if shorter == rest:
            return rest[:MAX_SUBJECT]
        rest = shorter


def renamed(subject: str, known: str) -> str:
    """Return the base of *subject* if a person renamed the thread, whose base subject is *known*; else "".

    Unknown prefixes before the known subject do not count as a rename: a mail system added them, and repeating them
    would show them to the other side and fork both sides' threads.
    """
    base = base_subject(subject)
    return "" if base.endswith(known) and _LABELS.fullmatch(base.removesuffix(known)) else base


def first_subject(subject: str) -> str:
    """Return the subject line for the first forward of a thread; later ones are ``Re: `` and the base subject.

    Keep the subject if clients thread it with its ``Re:`` form. Otherwise send that form at once: the subject has
    prefixes that some clients do not know (``AW:``), or Outlook would take its first word for one (``Ref: 117``).
    """
    base = base_subject(subject)
    if _OUTLOOK_PREFIX.match(base):
        return reply_subject(subject)
    rest = " ".join(subject.split())
    prefixes = rest[: len(rest) - len(_UNIVERSAL_PREFIXES.sub("", rest))]
    return prefixes + base if rest[len(prefixes) :][:MAX_SUBJECT] == base else reply_subject(subject)


def reply_subject(subject: str) -> str:
    """Return the subject line of a reply: ``Re: `` and the base subject."""
    return f"Re: {base_subject(subject)}".rstrip()


def _without_prefix(subject: str) -> str:
    found = _PREFIX.match(subject)
    return subject[found.end() :] if found and found[1].lower() in _PREFIXES else subject


def _without_label(subject: str) -> str:
    for opening, closing in ("[]", "()", "【】"):
        label, found, rest = subject.partition(closing)
        if found and label.startswith(opening) and label[1:].strip().lower() in _GATEWAY_LABELS:
            return rest
    return subject
