"""Which lines of a text its author wrote, and which quote others.

Lines are judged by what email clients of all languages have in common, not by a list of clients: quoted lines begin
with ``>``; a line with a date, a person and a colon, or a block of header fields, introduces a quotation. Every pattern
sees a bounded piece of text.
"""

import re
from collections.abc import Sequence

from email_handler.mail.patterns import regex

LINE_LIMIT = 500  # characters of a line that patterns see
_ATTRIBUTION_LINES = 4  # clients wrap "On … wrote:" at 78 columns
_BLANK_LINES = 6  # between an introduction and its quotation
_HEADER_LINES = 8  # of a block of quoted header fields, with wrapped values and blank lines

_BIDI = dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0xFEFF))  # UAX 9, and U+FEFF
_QUOTED = regex(r"\s{0,3}(?:>|&gt;)(?!:\s*$)")  # ">:" alone is the end of a wrapped "<address>:"
_RULE = regex(r"\s{0,10}[-_=*~\u2013\u2014\u2500\u2501#]{2,}\s*")
_DATE = regex(r"\d{1,4}\D{1,15}\d{1,4}")  # two numbers near each other: 12:47, 2016-12-08, 8 dicembre 2016
_ADDRESS = regex(r"[^\s<>@]{1,64}@[^\s<>@]{2,}")

_WROTE = regex(
    r"\b(?:wrote|writes|said|schrieb|schreef|skrev|a écrit|écrivait|escribió|escribio|escreveu|ha scritto|scritto"
    r"|va escriure|napisał\(?a?\)?|napisala|napsala?|napísala?|írta|kirjoitti|a scris|написал\(?\u0430?\)?|писал\(?\u0430?\)?"
    r"|пишет|написав|έγραψε|έγραψαν|yazd\u0131|menulis|tulis|đã viết|je napisao|je napisala|напиша|parašė|pisze|пише|rašė|rakstīja|kirjutas|geschrieben|написао|napisao)\b"
    r"|写道|寫道|写信|のメール|書きました|님이 작성|작성:|쓴 글|כתב|كتب|نوشت|เขียน|ने लिखा",
    re.IGNORECASE,
)
_BEGINS_ATTRIBUTION = regex(
    r"[\s>*-]{0,8}(?:on|am|le|el|em|il|la|op|den|dana|på|kl|w dniu|dnia|dne|dňa|a|az|în|в|στις|in data|ngày|pada|vào|vo|"
    r"mon|tue|wed|thu|fri|sat|sun|н\u0430|\u0443|u|در|في)\b|[\s>*-]{0,8}(?:\d|בתאריך|ב-\d|在|於|于|ใน)",
    re.IGNORECASE,
)
"""The start of a line that introduces a quotation: a preposition before a date, a weekday, or the date itself."""

_PREPOSITION = regex(r"\s{0,5}(?:on|am|le|el|em|il|op|den|w dniu|dnia|mon|tue|wed|thu|fri|sat|sun)\b", re.IGNORECASE)
_TAIL = 60  # characters before the colon that may contain "wrote"

_LABEL = regex(r"[\s>*_|]{0,10}([^\W\d_][^:\uff1a*\n]{0,24}?)\s?\*{0,2}\s?[:\uff1a]")
_FROM = regex(
    r"from|de|da|van|von|fra|från|od|от|от кого|від|kimden|gönderen|lähettäjä|feladó|expéditeur|expediteur|remitente|remetente"
    r"|mittente|afzender|absender|avsändare|avsender|afsender|nadawca|odesílatel|de la|message (?:du|de)|发件人|寄件者|寄件人|差出人"
    r"|送信者|送信元|šalje|expeditorul|отправитель|від кого|saatja|nuo|보낸 ?사람|من|المرسل|از|فرستنده|מאת|από|dari|pengirim|từ|người gửi|จาก"
)
_SUBJECT = regex(
    r"subject|betreff|objet|sujet|asunto|assunto|oggetto|onderwerp|emne|ämne|temat|předmět|predmet|tárgy|konu|тема|aihe|subiect"
    r"|subiectul|naslov|zadeva|tema|teema|temats|относно|주제|主题|主旨|件名|제목|الموضوع|موضوع|נושא|θέμα|subjek|perihal|chủ đề|หัวเรื่อง|เรื่อง"
)
_SENT = regex(
    r"sent|sent at|gesendet|envoyé(?: le)?|date d'envoi|enviad[oa](?: el| em)?|inviato|verzonden|sendt|skickat|wysłano"
    r"|data wysłania|odesláno|küldve|отправлено|надіслано|lähetetty|trimis|elküldve|odoslané|gönderildi|发送时间|發送時間|寄件日期|送信日時|보낸 ?날짜|נשלח|تم الإرسال|تاريخ الإرسال|أُرسلت|ارسال شده|تاریخ ارسال|στάλθηκε|надіслано|изпратено|poslano|saatmisaeg|nosūtīts|išsiųsta|enviat|được gửi|ส่ง"
)
_OTHER = regex(
    r"date|to|cc|reply-to|an|datum|kopie|à|a|copie(?: à)?|para|fecha|data|aan|til|dato|till|kopia|komu|do|dw|címzett|kime"
    r"|päivämäärä|dátum|dată|kopio|másolat(?:ot kap)?|kopi|kópia|bilgi|destinatarul|pre|prima|za|no|kam|per a|pour|adresat|adressaat|empfänger|saaja|către|送信先|kuupäev"
    r"|tarih|кому|дата|копия|копія|vastaanottaja|päiväys|către|收件人|收件者|日期|時間|抄送|副本|宛先|日時|日付|받는 ?사람|날짜|참조|إلى|به|تاریخ"
    r"|التاريخ|אל|תאריך|προς|ημερομηνία|kepada|tanggal|đến|ngày|ถึง|วันที่"
)
_KINDS = {"from": _FROM, "subject": _SUBJECT, "sent": _SENT, "other": _OTHER}

_FORWARDED = (
    r"forwarded message|weitergeleitete\w? nachricht|message (?:réexpédié|transféré|transmis)|mensaje reenviado"
    r"|mensagem (?:re)?encaminhada|messaggio inoltrato|doorgestuurd bericht|videresendt|vidarebefordrat|välitetty viesti"
    r"|edelleenlähetetty|továbbított|przek(?:azan|azywan)|přeposl|přeposíl|preposlan|proslijeđen|redirec[țţ]ionat"
    r"|пересыл|переадресован|перенаправлен|переслан|пересила|i\u0307?leti|转发|転送"
)
_DIVIDER = regex(
    r"\s{0,10}[-_=*>\u2010-\u2015\u2500]{2,}(?:\s|&nbsp;){0,5}(?:original|forwarded|begin forwarded|ursprüngliche|message (?:d'origine|original)|mensaje"
    r"|mensagem|messaggio|oorspronkelijk|origineel|oprindelig|original[at]|ursprungligt|opprinnelig|alkuperäinen|wiadomość"
    r"|treść przekazanej|oryginalna|původní|eredeti|исходное|orijinal|原始邮件|原始郵件|元のメッセージ|メッセージを転送|original|원본"
    rf"|الرسالة|پیام اصلی|הודעה|αρχικό|{_FORWARDED})(?:[^\n]{{0,60}}|[^\n]{{0,40}}?[-_=*]{{2,}}[^\n]{{0,{LINE_LIMIT}}})",
    re.IGNORECASE,
)
_FORWARD_LINE = regex(rf"\s{{0,5}}(?:[^\n:]{{1,20}} )?(?:{_FORWARDED})[^\n:]{{0,30}}[:\uff1a]\s{{0,5}}", re.IGNORECASE)
"""A line without dashes that introduces a forwarded message, as Apple Mail and MailMate write it."""

_DASHED_TITLE = regex(r"\s{0,3}-{3,12} ?[^\s-][^\n]{0,60}?-{3,12}\s{0,3}")
_ONE_LINE_HEADER = regex(r"\s{0,3}-{3,12} ?[^\s-][^\n]{0,60}?-{3,12} ?[^\W\d_][^:\uff1a\n]{0,24}[:\uff1a]")
"""A dashed title with the header of the original behind it, as mail apps of phones send it."""

_PERSON = r"[^:\uff1a]{0,80}[(<\[]{0,2}(?:mailto:)?[^\s<>@]{1,64}@[^\s<>@]{2,80}?[)>\]]{0,2}"
_NAMED = regex(rf"{_PERSON},?\s{{1,3}}(?:さんは)?")
"""A person with an address, before a word for "wrote"."""

_CITED = regex(
    rf"\s{{0,5}}(?:quoting|zitat von|citando|citation de|citat från|cytowanie|كتب|نوشت|כתב) {_PERSON}\s?[:\uff1a]",
    re.IGNORECASE,
)
"""A word before a person with an address: Horde's webmail, and Arabic's order of words."""

_WROTE_AT = regex(r"[^\W\d_]\S{0,30}(?: \S{1,30}){0,3} ")
"""A name, before "wrote on" and a date."""

_TIME = regex(r"\d{1,2}[:.]\d\d")


def own_passages(lines: Sequence[str]) -> list[list[str]]:
    """Return the lines that are not quoted as passages, each ended by a quotation. An unmarked quotation extends to the
    end, unless nothing stands above its introduction: then its author may have written below it.
    """
    heads = [head_of(line) for line in lines]
    quoted = [_QUOTED.match(head) is not None for head in heads]
    fields = [_field(head) for head in heads]
    later = _next_quotes(quoted)
    passages: list[list[str]] = [[]]
    number, words_above = 0, False
    while number < len(lines):
        length = int(quoted[number] or _is_wrapped_quote(heads, quoted, number))
        if not length:
            if _begins_original(heads, fields, number):
                break
            length = _introduction(heads, fields, quoted, number)
            end = number + length
            marked = not length or _quote_follows(heads, quoted, end) or _is_answered(heads, quoted, end, later[end])
            if words_above and not marked:
                break
        if length:
            number += length
            passages.append([])
            continue
        passages[-1].append(lines[number])
        words_above = words_above or bool(heads[number].strip())
        number += 1
    return passages


def is_quoted(line: str) -> bool:
    """Return whether *line* bears the mark of a quotation."""
    return _QUOTED.match(head_of(line)) is not None


def is_rule(line: str) -> bool:
    """Return whether *line* is drawn: dashes, stars and the like."""
    return _RULE.fullmatch(line[:LINE_LIMIT]) is not None


def begins_original(lines: Sequence[str]) -> bool:
    """Return whether an unmarked original begins anywhere in *lines*, with a divider or a block of header fields."""
    heads = list(map(head_of, lines))
    fields = list(map(_field, heads))
    return any(_begins_original(heads, fields, number) for number in range(len(heads)))


def head_of(line: str) -> str:
    """Return what patterns see of *line*: its beginning, without the marks of right-to-left text."""
    head = line[:LINE_LIMIT]
    return head if head.isascii() else head.translate(_BIDI)


def _next_quotes(quoted: Sequence[bool]) -> list[int]:
    """Return for each line, and the end, the number of the next quoted line from there on; their count if there is none."""
    following = [len(quoted)]
    for number in range(len(quoted) - 1, -1, -1):
        following.append(number if quoted[number] else following[-1])
    return following[::-1]


def _is_answered(heads: Sequence[str], quoted: Sequence[bool], number: int, quote: int) -> bool:
    """Return whether the author writes from line *number* on, between an introduction and its first quoted line, *quote*;
    else those are an unmarked original, with an introduction of its own to what it quotes."""
    if quote == len(heads):
        return False
    starts = range(max(number, quote - _ATTRIBUTION_LINES - _BLANK_LINES), quote)
    return not any(_attribution(heads, quoted, start) for start in starts)


def _introduction(heads: Sequence[str], fields: Sequence[tuple[str, str]], quoted: Sequence[bool], number: int) -> int:
    """Return how many lines from *number* introduce a quotation or a forwarded message, 0 for none."""
    return 1 if _introduces_forward(heads, fields, quoted, number) else _attribution(heads, quoted, number)


def _is_wrapped_quote(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Return whether a line is the end of a long quoted line that a gateway broke without repeating the mark."""
    between = 0 < number < len(heads) - 1 and quoted[number - 1] and quoted[number + 1]
    long_before = between and len(heads[number - 1]) >= 60  # noqa: PLR2004 - wrapped lines are nearly full
    return long_before and heads[number][:1].islower()


def _begins_original(heads: Sequence[str], fields: Sequence[tuple[str, str]], number: int) -> bool:
    """Return whether an unmarked original begins here, with a divider or a block of header fields."""
    if _DIVIDER.fullmatch(heads[number]):
        return True
    if _ONE_LINE_HEADER.match(heads[number]) and _ADDRESS.search(heads[number]) and _TIME.search(heads[number]):
        return True
    if _DASHED_TITLE.fullmatch(heads[number]):
        return _is_unknown_header(heads[number + 1 : number + 1 + _HEADER_LINES])
    start = number
    if _RULE.fullmatch(heads[number]):
        start = next((at for at in range(number + 1, min(number + 4, len(heads))) if heads[at].strip()), number)
    return fields[start][0] != "" and _is_header_block(
        heads[start : start + _HEADER_LINES], fields[start : start + _HEADER_LINES]
    )


def _is_unknown_header(heads: Sequence[str]) -> bool:
    """Return whether lines are a message header in an unknown language: three labels, an address and a time."""
    end = next((at for at, head in enumerate(heads) if not _LABEL.match(head)), len(heads))
    block = heads[:end]
    return len(block) >= 3 and any(map(_ADDRESS.search, block)) and any(map(_TIME.search, block))  # noqa: PLR2004


def _is_header_block(heads: Sequence[str], fields: Sequence[tuple[str, str]]) -> bool:
    """Return whether lines are the header of a quoted message: at least three fields in a known language, or two with From.

    One must be a subject, a time of sending or an address: "From: Berlin, To: Paris, Date: …" is a journey.
    """
    kinds = [kind for kind, _label in fields]
    end = next((at for at in range(1, len(kinds)) if not any(kinds[at : at + 3])), len(kinds))  # wrapped, blank lines
    labels = {label for kind, label in fields[:end] if kind}
    is_message = not {"subject", "sent"}.isdisjoint(kinds[:end]) or any(_ADDRESS.search(heads[at]) for at in range(end))
    return is_message and len(labels) >= (2 if "from" in kinds[:end] else 3)


def _field(head: str) -> tuple[str, str]:
    """Return a line's kind of header field ("from", "subject", "sent", "other", "" for none) and its label."""
    found = _LABEL.match(head)
    label = found.group(1).strip(" *_").lower() if found else ""
    return (next((kind for kind, pattern in _KINDS.items() if pattern.fullmatch(label)), "") if label else ""), label


def _attribution(heads: Sequence[str], quoted: Sequence[bool], number: int) -> int:
    """Return how many lines from *number* introduce a quotation ("On 3 May, Jane wrote:"), 0 for none.

    If a later one of these lines is an introduction by itself, the lines before it belong to the author.
    """
    if not (_BEGINS_ATTRIBUTION.match(heads[number]) or _DATE.search(heads[number]) or _ADDRESS.search(heads[number])):
        return 1 if _introduces_quoted(heads, quoted, number) else 0
    for end in range(number + 1, min(number + _ATTRIBUTION_LINES, len(heads)) + 1):
        if quoted[end - 1] or not heads[end - 1].strip():
            return 0
        if not _may_end(heads[end - 1]):
            continue
        before_quote = _quote_follows(heads, quoted, end)
        if _introduces(" ".join(heads[number:end]), before_quote=before_quote):
            later = range(number + 1, end)
            alone = (
                _PREPOSITION.match(heads[at]) and _introduces(" ".join(heads[at:end]), before_quote=before_quote)
                for at in later
            )
            return 0 if any(alone) else end - number
    return 0


def _introduces_forward(
    heads: Sequence[str], fields: Sequence[tuple[str, str]], quoted: Sequence[bool], number: int
) -> bool:
    if not _FORWARD_LINE.fullmatch(heads[number]):
        return False
    following = next((at for at in range(number + 1, min(number + 4, len(heads))) if heads[at].strip()), 0)
    return bool(following) and (quoted[following] or _begins_original(heads, fields, following))


def _may_end(head: str) -> bool:
    return head.rstrip()[-1:] in (":", "\uff1a", "-") or _WROTE.search(head[-_TAIL:]) is not None


def _introduces_quoted(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Return whether one line names the author of the quoted lines that follow ("Jane wrote:")."""
    return _quote_follows(heads, quoted, number + 1) and _introduces(heads[number], before_quote=True)


def _introduces(joined: str, *, before_quote: bool) -> bool:
    """Return whether words introduce a quotation; before quoted lines, a word for "wrote" is enough."""
    words = joined.strip().rstrip("-").rstrip()
    if len(words) > LINE_LIMIT:
        return False
    wrote = _WROTE.search(words, max(0, len(words) - _TAIL))
    date = _DATE.search(words)
    address = _ADDRESS.search(words)
    if words.endswith((":", "\uff1a")):
        if date and (
            address or (wrote and (_BEGINS_ATTRIBUTION.match(words) or _is_dated_later(words, wrote.start())))
        ):
            return True
        named = wrote and (before_quote or _NAMED.fullmatch(words, 0, wrote.start()))
        return bool(named or _CITED.fullmatch(words))
    return bool(wrote and date and address and _BEGINS_ATTRIBUTION.match(words) and wrote.end() == len(words))


def _is_dated_later(words: str, wrote: int) -> bool:
    """Return whether *words* are a name, a word for "wrote" at *wrote*, and a date with a time."""
    return _WROTE_AT.fullmatch(words, 0, wrote) is not None and None not in (
        _DATE.search(words, wrote),
        _TIME.search(words, wrote),
    )


def _quote_follows(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Return whether the next lines are quoted; blank lines do not count."""
    for at in range(number, min(number + _BLANK_LINES, len(heads))):
        if quoted[at]:
            return True
        if heads[at].strip():
            return False
    return False
