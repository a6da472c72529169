"""The new text of a message: what its author wrote, without quotations and signature, for snippets and search.

Lines are judged by what email clients of all languages have in common, not by a list of clients: quoted lines begin
with ``>``; a line with a date, a person and a colon, or a block of header fields, introduces a quotation; a signature
follows ``--`` or a closing formula, or names the device. Every pattern sees a bounded piece of text.
"""

import re
from collections.abc import Iterator, Sequence

from email_handler.mail.html import html_text

TEXT_LIMIT = 1_000_000  # characters read; no person writes more
LINES_LIMIT = 20_000  # lines read
_LINE_LIMIT = 500  # characters of a line that patterns see
_ATTRIBUTION_LINES = 4  # clients wrap "On … wrote:" at 78 columns
_HEADER_LINES = 8  # of a block of quoted header fields, with wrapped values and blank lines
_SIGNATURE_LINES = 15

_QUOTED = re.compile(r"\s{0,3}(?:>|&gt;)(?!:\s*$)")  # ">:" alone is the end of a wrapped "<address>:"
_RULE = re.compile(r"\s{0,10}[-_=*~\u2013\u2014\u2500\u2501#]{2,}\s*")
_DATE = re.compile(r"\d{1,4}\D{1,15}\d{1,4}")  # two numbers near each other: 12:47, 2016-12-08, 8 dicembre 2016
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{2,}")

_WROTE = re.compile(
    r"\b(?:wrote|writes|said|schrieb|schreef|skrev|a écrit|écrivait|escribió|escribio|escreveu|ha scritto|scritto"
    r"|va escriure|napisał\(?a?\)?|napisala|napsala?|napísala?|írta|kirjoitti|a scris|написал\(?\u0430?\)?|писал\(?\u0430?\)?"
    r"|пишет|написав|έγραψε|έγραψαν|yazd\u0131|menulis|tulis|đã viết|je napisao|je napisala|напиша|parašė|rakstīja|kirjutas)\b"
    r"|写道|寫道|写信|のメール|書きました|님이 작성|작성:|כתב|كتب|เขียน|ने लिखा",
    re.IGNORECASE,
)
_BEGINS_ATTRIBUTION = re.compile(
    r"[\s>*-]{0,8}(?:on|am|le|el|em|il|op|den|på|kl|w dniu|dnia|dne|dňa|a|az|în|в|στις|in data|ngày|pada|vào|vo|"
    r"mon|tue|wed|thu|fri|sat|sun)\b|[\s>*-]{0,8}\d",
    re.IGNORECASE,
)
"""The start of a line that introduces a quotation: a preposition before a date, a weekday, or the date itself."""

_PREPOSITION = re.compile(
    r"\s{0,5}(?:on|am|le|el|em|il|op|den|w dniu|dnia|mon|tue|wed|thu|fri|sat|sun)\b", re.IGNORECASE
)
_TAIL = 60  # characters before the colon that may contain "wrote"

_LABEL = re.compile(r"[\s>*_|]{0,10}([^\W\d_][^:\uff1a*\n]{0,24}?)\s?\*{0,2}\s?[:\uff1a]")
_FROM = re.compile(
    r"from|de|da|van|von|fra|från|od|от|от кого|від|kimden|gönderen|lähettäjä|feladó|expéditeur|expediteur|remitente|remetente"
    r"|mittente|afzender|absender|avsändare|avsender|afsender|nadawca|odesílatel|de la|message (?:du|de)|发件人|寄件者|寄件人|差出人"
    r"|送信者|送信元|šalje|expeditorul|отправитель|від кого|saatja|보낸 ?사람|من|מאת|από|dari|pengirim|từ|người gửi|จาก"
)
_SUBJECT = re.compile(
    r"subject|betreff|objet|sujet|asunto|assunto|oggetto|onderwerp|emne|ämne|temat|předmět|predmet|tárgy|konu|тема|aihe|subiect"
    r"|subiectul|naslov|主题|主旨|件名|제목|الموضوع|נושא|θέμα|subjek|perihal|chủ đề|หัวเรื่อง"
)
_SENT = re.compile(
    r"sent|sent at|gesendet|envoyé(?: le)?|date d'envoi|enviad[oa](?: el| em)?|inviato|verzonden|sendt|skickat|wysłano"
    r"|data wysłania|odesláno|küldve|отправлено|надіслано|lähetetty|trimis|elküldve|odoslané|gönderildi|发送时间|發送時間|寄件日期|送信日時|보낸 ?날짜"
)
_OTHER = re.compile(
    r"date|to|cc|reply-to|an|datum|kopie|à|a|copie(?: à)?|para|fecha|data|aan|til|dato|till|kopia|komu|do|dw|címzett|kime"
    r"|päivämäärä|dátum|dată|kopio|másolat(?:ot kap)?|kopi|kópia|bilgi|destinatarul|pre|prima|pour|adresat|送信先|kuupäev"
    r"|tarih|кому|дата|копия|копія|vastaanottaja|päiväys|către|收件人|收件者|日期|時間|抄送|副本|宛先|日時|日付|받는 ?사람|날짜|إلى"
    r"|التاريخ|אל|תאריך|προς|ημερομηνία|kepada|tanggal|đến|ngày|ถึง|วันที่"
)
_KINDS = {"from": _FROM, "subject": _SUBJECT, "sent": _SENT, "other": _OTHER}

_FORWARDED = (
    r"forwarded message|weitergeleitete\w? nachricht|message (?:réexpédié|transféré|transmis)|mensaje reenviado"
    r"|mensagem (?:re)?encaminhada|messaggio inoltrato|doorgestuurd bericht|videresendt|vidarebefordrat|välitetty viesti"
    r"|edelleenlähetetty|továbbított|przek(?:azan|azywan)|přeposl|přeposíl|preposlan|proslijeđen|redirec[țţ]ionat"
    r"|пересыл|переадресован|перенаправлен|переслан|пересила|i\u0307?leti|转发|転送"
)
_DIVIDER = re.compile(
    r"\s{0,10}[-_=*>]{2,}\s{0,5}(?:original|forwarded|begin forwarded|ursprüngliche|message (?:d'origine|original)|mensaje"
    r"|mensagem|messaggio|oorspronkelijk|origineel|oprindelig|original[at]|ursprungligt|opprinnelig|alkuperäinen|wiadomość"
    r"|treść przekazanej|oryginalna|původní|eredeti|исходное|orijinal|原始邮件|原始郵件|元のメッセージ|メッセージを転送|original|원본"
    rf"|الرسالة|הודעה|αρχικό|{_FORWARDED})[^\n]{{0,60}}",
    re.IGNORECASE,
)
_FORWARD_LINE = re.compile(
    rf"\s{{0,5}}(?:[^\n:]{{1,20}} )?(?:{_FORWARDED})[^\n:]{{0,30}}[:\uff1a]\s{{0,5}}", re.IGNORECASE
)
"""A line without dashes that introduces a forwarded message, as Apple Mail and MailMate write it."""

_DASHED_TITLE = re.compile(r"\s{0,3}-{3,12} ?[^\s-][^\n]{0,60}?-{3,12}\s{0,3}")
_TIME = re.compile(r"\d{1,2}[:.]\d\d")

_DEVICE = re.compile(
    r"\s{0,5}(?:sent (?:from|via|with|using) |get outlook for |get bluemail|gesendet (?:von|mit|aus) |von meinem .{2,40} gesendet"
    r"|diese nachricht wurde von meinem|envoyé (?:de|depuis|à partir|avec) |télécharger outlook|enviado (?:desde|do|de|por|a partir) "
    r"|enviada (?:do|de) |obter o? ?outlook|obtener outlook|inviato da |scarica outlook|verzonden (?:vanaf|met|vanuit) "
    r"|outlook voor |skickat från |hämta outlook|sendt fra |hent outlook|lähetetty |hanki outlook|wysłan[eoy] z |pobierz"
    r"|odesláno z |отправлено (?:\u0441|из) |надіслано з |gönderildi|σταλθηκε|στάλθηκε από|发自|發自|從我的|从我的"
    r"|.{0,20}から送信|나의 .{1,20}에서 보냄|أُرسلت من|أرسلت من|נשלח מ|dikirim dari|được gửi từ|trimis (?:de pe|din))",
    re.IGNORECASE,
)
_DEVICE_LIMIT = 90
_SENTENCE = re.compile(r"[,;.!?](?: |$)")

_RULE_ABOVE_SIGNATURE = re.compile(r"_{2,80}|[\u2014\u2013\u2015]{2,80}")
_SHORT = 80  # characters; longer lines below a closing formula are sentences
_NAMES = 2  # lines below "Thanks,": a name and sometimes a place

_CLOSING = re.compile(
    r"\s{0,5}(?:(?:kind|best|warm|warmest|many|my|with)(?: (?:kind|best|warm|kindest))? ?(?:regards|wishes)|kindest regards|regards"
    r"|best|cheers|sincerely(?: yours)?|yours (?:sincerely|truly|faithfully)|respectfully(?: yours)?|all the best|take care"
    r"|mit (?:freundlichen|besten|herzlichen|lieben|vielen) grü(?:ß|ss)en|freundliche grü(?:ß|ss)e|(?:viele|liebe|beste|schöne|herzliche)"
    r" grü(?:ß|ss)e|(?:beste|freundlicher|lieber|schönen) gru(?:ß|ss)|gru(?:ß|ss)|grü(?:ß|ss)e|hochachtungsvoll|mfg|lg|vg"
    r"|(?:bien )?cordialement|sincères salutations|meilleures salutations|bien à vous|amicalement"
    r"|(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?|atentamente|atenciosamente|cumprimentos|com os melhores cumprimentos"
    r"|abraços?|(?:cordiali|distinti) saluti|cordialmente|un saluto|met (?:vriendelijke|hartelijke) groet(?:en)?|groet(?:en|jes)?"
    r"|med (?:vänlig|vänliga|venlig|vennlig) (?:hälsning|hälsningar|hilsen)|(?:mvh|vänligen|hilsen|vh)|ystävällisin terveisin"
    r"|terveisin|pozdrawiam|z poważaniem|s pozdravem|üdvözlettel|cu stimă|\u0441 уважением|\u0441 наилучшими пожеланиями|з повагою"
    r"|με εκτίμηση|sayg\u0131lar(?:\u0131mla)?|此致|敬具|祝好|감사합니다|드림|مع أطيب التحيات|تحياتي|בברכה|salam|trân trọng)"
    r"[\s,.!\U0001f300-\U0001faff]{0,5}",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"\s{0,5}(?:(?:many |with )?thanks(?: again| in advance)?|thank you(?: very much| so much)?|thx|vielen dank|danke"
    r"(?:schön)?|besten dank|merci(?: beaucoup| d'avance)?|gracias|obrigad[oa]|grazie|bedankt|dank u?|tack|takk?|kiitos"
    r"|dziękuję|děkuji|спасибо|ευχαριστώ|teşekkürler|谢谢|謝謝|ありがとうございます|감사합니다|شكرا|תודה)[\s,.!]{0,3}",
    re.IGNORECASE,
)
_NAME = re.compile(r"\s*[^\W\d_][\w.'-]{0,20}(?: [\w.'-]{1,20}){0,3}\s*")
_DASHED_NAME = re.compile(r"\s{0,3}[-\u2013\u2014] ?[^\W\d_][\w.]{0,20}(?: [\w.]{1,20}){0,3}\s*")


_QUOTING_ELEMENT = re.compile(
    r"<(?:div|blockquote|span|hr|table)\b[^<>]{0,300}?\b(?:id|class|type|name)\s?=\s?[\"']?(?:[\w -]{0,40}\b)?(?:gmail_quote\w{0,12}"
    r"|yahoo_quoted|moz-cite-prefix|(?:x_)?divRplyFwdMsg|(?:x_)?appendonsend|OLK_SRC_BODY_SECTION|protonmail_quote"
    r"|zmail_extra|stopSpelling|zwchr|ms-outlook-mobile-reference-message|cite|mail_quote|tutanota_quote)\b",
    re.IGNORECASE,
)
"""Gmail, Yahoo, Thunderbird, Outlook (web, desktop, Mac, mobile), Proton, Zoho, Hotmail, Zimbra, Apple Mail."""


def new_text(text: str, html: str = "") -> str:
    """Return the lines of *text* that its author wrote: no quoted lines, no introductions to them, no signature.

    *text* is the visible plain text; *html* is the HTML body, "" if there is none. The result is "" if nothing is new,
    as in a bare forward. Text between quoted lines is kept in order. Never raises; takes linear time.
    """
    lines = text[:TEXT_LIMIT].replace("\r\n", "\n").replace("\r", "\n").split("\n", LINES_LIMIT)[:LINES_LIMIT]
    own = _own_lines(lines)
    if len(own) == len(lines):
        own = _above_quotation(html) or own
    kept = _without_signature(own)
    return "\n".join(_trimmed(kept) or _trimmed(own))


def _above_quotation(html: str) -> list[str]:
    """Return the author's lines above the element in which a client puts the quotation, [] if there is none.

    This finds quotations that the plain text does not mark: both have the same contents (RFC 2046 §5.1.4).
    """
    found = _QUOTING_ELEMENT.search(html[:TEXT_LIMIT])
    return _own_lines(html_text(html[: found.start()]).split("\n", LINES_LIMIT)[:LINES_LIMIT]) if found else []


def _own_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that are not quoted, up to an unmarked quotation, which extends to the end."""
    heads = [line[:_LINE_LIMIT] for line in lines]
    quoted = [_QUOTED.match(head) is not None for head in heads]
    fields = [_field(head) for head in heads]
    own: list[str] = []
    number = 0
    while number < len(lines):
        if quoted[number] or _is_wrapped_quote(heads, quoted, number):
            number += 1
            continue
        if _begins_original(heads, fields, number):
            break
        length = 1 if _introduces_forward(heads, fields, quoted, number) else _attribution(heads, quoted, number)
        if length:
            if not _quote_follows(heads, quoted, number + length):
                break
            number += length
            continue
        own.append(lines[number])
        number += 1
    return own


def _is_wrapped_quote(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Return whether a line is the end of a long quoted line that a gateway broke without repeating the mark."""
    between = 0 < number < len(heads) - 1 and quoted[number - 1] and quoted[number + 1]
    long_before = between and len(heads[number - 1]) >= 60  # noqa: PLR2004 - wrapped lines are nearly full
    return long_before and heads[number][:1].islower()


def _begins_original(heads: Sequence[str], fields: Sequence[tuple[str, str]], number: int) -> bool:
    """Return whether an unmarked original begins here, with a divider or a block of header fields."""
    if _DIVIDER.fullmatch(heads[number]):
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
    if len(words) > _LINE_LIMIT:
        return False
    wrote = _WROTE.search(words, max(0, len(words) - _TAIL))
    date = _DATE.search(words)
    address = _ADDRESS.search(words)
    if words.endswith((":", "\uff1a")):
        return bool((date and (address or (wrote and _BEGINS_ATTRIBUTION.match(words)))) or (before_quote and wrote))
    return bool(wrote and date and address and _BEGINS_ATTRIBUTION.match(words) and wrote.end() == len(words))


def _quote_follows(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Return whether the next lines are quoted; blank lines do not count."""
    for at in range(number, min(number + 6, len(heads))):
        if quoted[at]:
            return True
        if heads[at].strip():
            return False
    return False


def _without_signature(own: Sequence[str]) -> list[str]:
    for number, line in enumerate(own):
        if _begins_signature(own, number, line[:_LINE_LIMIT]):
            return list(own[:number])
    return list(own)


def _begins_signature(own: Sequence[str], number: int, head: str) -> bool:
    """Return whether a signature begins at line *number*: a mark or device anywhere, a formula or name near the end."""
    stripped = head.strip()
    if not stripped:
        return False
    device = len(stripped) < _DEVICE_LIMIT and _DEVICE.match(stripped) and not _SENTENCE.search(stripped)
    if stripped in ("--", "\u2014", "\u2013\u2013") or device:
        return True
    if len(own) - number > 2 * _SIGNATURE_LINES:
        return False
    rest = [line for line in own[number + 1 :] if line.strip()]
    if not rest:
        return number > 0 and not own[number - 1].strip() and _DASHED_NAME.fullmatch(head) is not None
    return len(rest) < _SIGNATURE_LINES and (
        _RULE_ABOVE_SIGNATURE.fullmatch(stripped) is not None
        or (_CLOSING.fullmatch(stripped) is not None and all(len(line) <= _SHORT for line in rest))
        or (_THANKS.fullmatch(stripped) is not None and len(rest) <= _NAMES and all(map(_NAME.fullmatch, rest)))
    )


def _trimmed(lines: Sequence[str]) -> list[str]:
    """Drop blank lines and rules at both ends, and more than one blank line between."""
    return list(_squeezed([line.rstrip() for line in lines]))


def _squeezed(lines: Sequence[str]) -> Iterator[str]:
    start, end = 0, len(lines)
    while end > start and (not lines[end - 1] or _RULE.fullmatch(lines[end - 1][:_LINE_LIMIT])):
        end -= 1
    while start < end and not lines[start]:
        start += 1
    previous = "x"
    for line in lines[start:end]:
        if line or previous:
            yield line
        previous = line
