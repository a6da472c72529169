"""What a writer added to a conversation: their text without quotation and signature, for snippets and search.

Read line by line, by what mail clients of all languages share rather than by a list of clients: quoted lines begin
with ``>``; a quotation is introduced by a line with a date, a person and a colon, or by a block of header fields;
a signature follows ``--``, a closing formula, or names the device. Every test looks at a bounded piece of text.
"""

import re
from collections.abc import Iterator, Sequence

TEXT_LIMIT = 200_000  # characters read; what lies beyond is no writer's own text
_LINE_LIMIT = 500  # characters of a line that a test looks at
_ATTRIBUTION_LINES = 4  # clients wrap "On … wrote:" at 78 columns
_HEADER_LINES = 8  # a block of quoted header fields, wrapped values and blank lines included
_SIGNATURE_LINES = 15

_QUOTED = re.compile(r"\s{0,3}(?:>|&gt;)")
_RULE = re.compile(r"\s{0,10}[-_=*~\u2013\u2014\u2500\u2501#]{2,}\s*")
_DATE = re.compile(r"\d{1,4}\D{1,15}\d{1,4}")  # two numbers near each other: 12:47, 2016-12-08, 8 dicembre 2016
_ADDRESS = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{2,}")

_WROTE = re.compile(
    r"\b(?:wrote|writes|said|schrieb|schreef|skrev|a écrit|écrivait|escribió|escribio|escreveu|ha scritto|scritto"
    r"|va escriure|napisał\(?a?\)?|napisala|napsala?|napísala?|írta|kirjoitti|a scris|написал\(?а?\)?|писал\(?а?\)?"
    r"|пишет|написав|έγραψε|έγραψαν|yazdı|menulis|tulis|đã viết|je napisao|je napisala|напиша|parašė|rakstīja|kirjutas)\b"
    r"|写道|寫道|写信|のメール|書きました|님이 작성|작성:|כתב|كتب|เขียน|ने लिखा",
    re.IGNORECASE,
)
_OPENS = re.compile(
    r"[\s>*-]{0,8}(?:on|am|le|el|em|il|op|den|på|kl|w dniu|dnia|dne|dňa|a|az|în|в|у|στις|in data|ngày|pada|vào|vo|"
    r"mon|tue|wed|thu|fri|sat|sun)\b|[\s>*-]{0,8}\d",
    re.IGNORECASE,
)
"""How lines that introduce a quotation begin: a preposition of date, a weekday, or the date itself."""

_LABEL = re.compile(r"[\s>*_|]{0,10}([^\W\d_][^:\uff1a*\n]{0,24}?)\s?\*{0,2}\s?[:\uff1a]")
_FROM = frozenset(
    "from de da van von fra från od ot от от кого kimden gönderen lähettäjä feladó expéditeur från expediteur "
    "发件人 寄件者 寄件人 差出人 送信者 보낸사람 من מאת από dari từ จาก remitente remetente mittente afzender absender".split()
) | {"от кого", "보낸 사람", "de la", "message du", "message de"}
_OTHER = frozenset(
    "sent date to subject cc an datum betreff gesendet kopie envoyé date à objet copie cc enviado enviada para asunto "
    "assunto fecha data inviato a oggetto aan onderwerp verzonden til emne sendt dato till ämne skickat kopia komu temat "
    "wysłano předmět odesláno tárgy címzett kime konu tarih кому тема дата отправлено копия відправлено lähetetty "
    "vastaanottaja aihe 收件人 主题 主旨 發送時間 发送时间 日期 時間 抄送 宛先 件名 送信日時 日時 받는사람 제목 보낸날짜 날짜 إلى الموضوع "
    "التاريخ אל נושא תאריך προς θέμα ημερομηνία kepada subjek tanggal đến ถึง หัวเรื่อง reply-to".split()
) | {
    "envoyé le",
    "copie à",
    "받는 사람",
    "보낸 날짜",
    "date d'envoi",
    "enviado el",
    "enviado em",
    "data wysłania",
    "sent at",
}
_SUBJECTS = frozenset(
    "subject betreff objet asunto assunto oggetto onderwerp emne ämne temat předmět tárgy konu тема aihe 主题 主旨 件名 제목 "
    "الموضوع נושא θέμα subjek หัวเรื่อง sujet".split()
)
_LABELS = _FROM | _OTHER | _SUBJECTS

_DIVIDER = re.compile(
    r"\s{0,10}[-_=*>]{2,}\s{0,5}(?:original|forwarded|begin forwarded|ursprüngliche|weitergeleitete|message (?:d'origine"
    r"|transféré|original)|mensaje|mensagem|messaggio|oorspronkelijk|doorgestuurd|oprindelig|original[at]|ursprungligt"
    r"|videresendt|opprinnelig|alkuperäinen|wiadomość|oryginalna|původní|eredeti|исходное|пересылаемое|пересланное"
    r"|orijinal|原始邮件|原始郵件|转发|元のメッセージ|original|원본|الرسالة|הודעה|αρχικό)[^\n]{0,60}",
    re.IGNORECASE,
)

_MOBILE = re.compile(
    r"\s{0,5}(?:sent (?:from|via|with|using) |get outlook for |get bluemail|gesendet (?:von|mit|aus) |von meinem .{2,40} gesendet"
    r"|diese nachricht wurde von meinem|envoyé (?:de|depuis|à partir|avec) |télécharger outlook|enviado (?:desde|do|de|por|a partir) "
    r"|enviada (?:do|de) |obter o? ?outlook|obtener outlook|inviato da |scarica outlook|verzonden (?:vanaf|met|vanuit) "
    r"|outlook voor |skickat från |hämta outlook|sendt fra |hent outlook|lähetetty |hanki outlook|wysłan[eoy] z |pobierz"
    r"|odesláno z |отправлено (?:с|из) |надіслано з |gönderildi|iphone'umdan|σταλθηκε|στάλθηκε από|发自|發自|從我的|从我的"
    r"|.{0,20}から送信|나의 .{1,20}에서 보냄|أُرسلت من|أرسلت من|נשלח מ|dikirim dari|được gửi từ|trimis (?:de pe|din))",
    re.IGNORECASE,
)
_MOBILE_LIMIT = 90

_CLOSING = re.compile(
    r"\s{0,5}(?:(?:kind|best|warm|warmest|many|my|with)(?: (?:kind|best|warm|kindest))? ?(?:regards|wishes)|kindest regards|regards"
    r"|best|cheers|sincerely(?: yours)?|yours (?:sincerely|truly|faithfully)|respectfully(?: yours)?|all the best|take care"
    r"|mit (?:freundlichen|besten|herzlichen|lieben|vielen) grü(?:ß|ss)en|freundliche grü(?:ß|ss)e|(?:viele|liebe|beste|schöne|herzliche)"
    r" grü(?:ß|ss)e|(?:beste|freundlicher|lieber|schönen) gru(?:ß|ss)|gru(?:ß|ss)|grü(?:ß|ss)e|hochachtungsvoll|mfg|lg|vg"
    r"|(?:bien )?cordialement|sincères salutations|meilleures salutations|bien à vous|amicalement"
    r"|(?:un )?(?:cordial )?saludos?(?: cordial(?:es)?)?|atentamente|atenciosamente|cumprimentos|com os melhores cumprimentos"
    r"|abraços?|(?:cordiali|distinti) saluti|cordialmente|un saluto|met (?:vriendelijke|hartelijke) groet(?:en)?|groet(?:en|jes)?"
    r"|med (?:vänlig|vänliga|venlig|vennlig) (?:hälsning|hälsningar|hilsen)|(?:mvh|vänligen|hilsen|vh)|ystävällisin terveisin"
    r"|terveisin|pozdrawiam|z poważaniem|s pozdravem|üdvözlettel|cu stimă|с уважением|с наилучшими пожеланиями|з повагою"
    r"|με εκτίμηση|saygılarımla|saygılar|此致|敬具|祝好|감사합니다|드림|مع أطيب التحيات|تحياتي|בברכה|salam|trân trọng)"
    r"[\s,.!\U0001f300-\U0001faff]{0,5}",
    re.IGNORECASE,
)
_DASHED_NAME = re.compile(r"\s{0,3}[-\u2013\u2014] ?[^\W\d_][\w.]{0,20}(?: [\w.]{1,20}){0,3}\s*")


def new_text(text: str, html: str = "") -> str:
    """Return what the writer of *text* added: no quoted lines, no introduction to them, no signature.

    *text* is the plain text a reader sees; *html* the HTML body, "" where none. "" where nothing is new, as in a
    bare forward. Answers written between quoted lines are kept, each in its place. Never raises; linear time.
    """
    own = _own_lines(text[:TEXT_LIMIT].replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    kept = _without_signature(own)
    return "\n".join(_trimmed(kept) or _trimmed(own))


def _own_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that quote nothing, up to an unmarked quotation, which reaches to the end."""
    heads = [line[:_LINE_LIMIT] for line in lines]
    quoted = [_QUOTED.match(head) is not None for head in heads]
    own: list[str] = []
    number = 0
    while number < len(lines):
        if quoted[number] or _is_wrapped_quote(heads, quoted, number):
            number += 1
            continue
        if _begins_original(heads, number):
            break
        length = _attribution(heads, quoted, number)
        if length:
            if not _quote_follows(heads, quoted, number + length):
                break
            number += length
            continue
        own.append(lines[number])
        number += 1
    return own


def _is_wrapped_quote(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Tell whether a line is the end of a long quoted line that a gateway broke without repeating the mark."""
    between = 0 < number < len(heads) - 1 and quoted[number - 1] and quoted[number + 1]
    long_before = between and len(heads[number - 1]) >= 60  # noqa: PLR2004 - wrapped lines are nearly full
    return long_before and heads[number][:1].islower()


def _begins_original(heads: Sequence[str], number: int) -> bool:
    """Tell whether an unmarked original begins here: a divider that says so, or a block of header fields."""
    head = heads[number]
    if _DIVIDER.fullmatch(head):
        return True
    following = number + 1 if _RULE.fullmatch(head) else number
    while following < min(number + 3, len(heads)) and not heads[following].strip():
        following += 1
    return _is_header_block(heads[following : following + _HEADER_LINES])


def _is_header_block(heads: Sequence[str]) -> bool:
    """Tell whether lines are header fields of a quoted mail, in whatever language: three of them, or two with From.

    A subject or an address must be among them: "From: Berlin, To: Paris, Date: …" is what a traveller writes.
    """
    if not heads or _label(heads[0]) not in _LABELS:
        return False
    labels: list[str] = []
    gap = 0
    for head in heads:
        label = _label(head)
        if label in _LABELS:
            labels.append(label)
            gap = 0
        else:
            gap += 1  # wrapped values and blank lines
        if gap > 2:  # noqa: PLR2004 - one wrapped line and one blank
            break
    block = " ".join(heads)
    shows_mail = not _SUBJECTS.isdisjoint(labels) or _ADDRESS.search(block) is not None
    return shows_mail and (len(set(labels)) >= 3 or (len(set(labels)) == 2 and not _FROM.isdisjoint(labels)))  # noqa: PLR2004 - see above


def _label(head: str) -> str:
    found = _LABEL.match(head)
    return found.group(1).strip(" *_").lower() if found else ""


def _attribution(heads: Sequence[str], quoted: Sequence[bool], number: int) -> int:
    """Return how many lines from *number* introduce a quotation ("On 3 May, Jane wrote:"), 0 for none."""
    if not heads[number].strip():
        return 0
    joined = ""
    for length in range(1, _ATTRIBUTION_LINES + 1):
        at = number + length - 1
        if at >= len(heads) or quoted[at] and not heads[at].lstrip().startswith(">:") or not heads[at].strip():
            return 0
        joined += " " + heads[at].strip()
        if _introduces(joined.strip().rstrip("-").rstrip()):
            return length
    return 0


def _introduces(joined: str) -> bool:
    ends = joined.endswith((":", "\uff1a"))
    wrote = _WROTE.search(joined[-60:])
    date = _DATE.search(joined)
    address = _ADDRESS.search(joined)
    if len(joined) > _LINE_LIMIT or not date:
        return False
    if ends:
        return bool(address or (wrote and _OPENS.match(joined)))
    return bool(wrote and address and _OPENS.match(joined) and joined[wrote.end() - len(joined) :].strip() == "")


def _quote_follows(heads: Sequence[str], quoted: Sequence[bool], number: int) -> bool:
    """Tell whether marked lines come next, blank lines aside."""
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
    stripped = head.strip()
    if not stripped:
        return False
    if stripped in ("--", "\u2014", "\u2013\u2013"):
        return True
    rest = [line for line in own[number + 1 :][: 2 * _SIGNATURE_LINES] if line.strip()]
    at_end = len(rest) < _SIGNATURE_LINES and len(own) - number < 2 * _SIGNATURE_LINES
    if re.fullmatch(r"_{2,80}|[\u2014\u2013\u2015]{2,80}", stripped):
        return at_end and bool(rest)
    if len(stripped) < _MOBILE_LIMIT and _MOBILE.match(stripped) and not re.search(r"[,;.!?](?: |$)", stripped):
        return True
    short = at_end and all(len(line) <= 80 for line in rest)  # noqa: PLR2004 - longer lines are sentences
    if _CLOSING.fullmatch(stripped):
        return short and bool(rest)
    return not rest and bool(_DASHED_NAME.fullmatch(head)) and number > 0 and not own[number - 1].strip()


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
