"""What surrounds an author's words: warnings and device lines above them, a signature below.

A signature follows ``--`` or a closing formula, or names the device. Every pattern sees a bounded piece of text.
"""

import re
from collections.abc import Sequence

from email_handler.mail.patterns import regex
from email_handler.mail.quotations import head_of

_SIGNATURE_LINES = 15
_ENDS = (".", "!", ">", ")", "]", "*", "\u3002", "\u3011", "\uff01")  # of a warning's last line
_FIRST_WORDS = 24  # characters in which a warning says what it is about
_PREFACE_LINES = 6  # of one warning

_DEVICE = regex(
    r"\s{0,5}(?:sent (?:from|via|with|using) |get outlook for |get bluemail|gesendet (?:von|mit|aus) |von meinem .{2,40} gesendet"
    r"|diese nachricht wurde von meinem|outlook für .{2,20} beziehen|holen sie sich outlook|laden sie outlook|envoyé (?:de|depuis|à partir|avec) "
    r"|télécharger outlook|obtenez outlook|obtenir outlook|enviado (?:desde|do|de|por|a partir) |enviada (?:do|de) |enviat (?:des|amb) "
    r"|obter o? ?outlook|obtener outlook|descargar outlook|inviato da|scarica outlook|ottieni outlook|(?:verzonden|verstuurd) (?:vanaf|met|vanuit) "
    r"|outlook voor |download outlook|skickat från |hämta outlook|sendt fra |hent outlook|få outlook|lähetetty |hanki outlook"
    r"|wysłan[eoy] z |pobierz|odesláno z |získat outlook|odoslané z |elküldve|az .{2,30} küldve|poslano (?:iz|s) |послато \u0441\u0430 "
    r"|изпратено от |отправлено (?:\u0441|из) |скача(?:ть|йте) outlook|надіслано (?:\u0437|з|із) |отримати outlook|gönderildi"
    r"|.{2,30} gönderildi$|σταλθηκε|στάλθηκε από|išsiųsta iš |nosūtīts no |saadetud minu |发自|發自|從我的|从我的|获取 ?outlook"
    r"|取得 ?outlook|下載 ?outlook|.{0,20}から送信|outlook for .{2,20} を入手|나의 .{1,20}에서 보냄|.{2,20}에서 보냄|.{2,12} ?outlook 다운로드"
    r"|أُرسلت من|أرسلت من|مُرسل من|مرسل من|تم الإرسال من|الحصول على outlook|تم إرساله?\u0627? من|ارسال شده (?:از|توسط|با)|ارسال از|فرستاده شده از"
    r"|נשלח מ|השג את outlook|קבל את outlook|קבל outlook|.{0,25} ?से भेजा गया|ส่งจาก|dikirim dari|dihantar dari|được gửi từ|đã gửi từ|来自我的|來自我的"
    r"|trimis (?:de pe|din))",
    re.IGNORECASE,
)
_PRODUCT = regex(
    r"\b(?:my|meinem|mon|mi|meu|mio|mijn|min|mojego|моего|мого)\b|iphon|ipad|android|galaxy|samsung|huawei|xiaomi|blackberry|outlook|gmail|yahoo|proton|bluemail|k-9|aqua|spark|tutanota|zoho|mobil"
    r"|windows|gmx|web\.de|shortwave|wps|netease|phone|tablet|\bapp\b|邮箱|手机|郵箱|手機",
    re.IGNORECASE,
)
_DEVICE_LIMIT = 90
_SENTENCE = regex(r"[,;.!?](?: |$)")

_CAUTION = regex(
    r"[\W_]{0,12}(?:caution|warning|attention|notice|alert|important|be careful|achtung|vorsicht|warnung|hinweis|avertissement"
    r"|prudence|precaución|atención|advertencia|cuidado|aviso|atenção|attenzione|avviso|let op|waarschuwing|pas op|uwaga"
    r"|ostrzeżenie|obs|varning|advarsel|varoitus|huom(?:io)?|upozornění|pozor|figyelem|atenție|dikkat|προσοχή|внимание"
    r"|осторожно|увага|تحذير|تنبيه|תשומת לב|אזהרה|שים לב|זהירות|注意|警告|提醒|주의)",
    re.IGNORECASE,
)
_THIS_MESSAGE = regex(
    r"[\W_]{0,12}(?:this (?:e-?mail|message|mail)|diese (?:e-?mail|nachricht)|ce (?:message|courriel|mail)|cet e-?mail"
    r"|este (?:correo|mensaje|e-?mail)|esta mensagem|questa (?:e-?mail|mail)|questo messaggio|deze (?:e-?mail|mail)|dit bericht"
    r"|ta wiadomość|denna|detta|denne|tämä viesti|это письмо|цей лист|此邮件|此郵件|このメール|이 메일|הודעה זו|هذه الرسالة)",
    re.IGNORECASE,
)
_OUTSIDE = regex(
    r"external (?:e-?mail|sender|source|message|address)|non-\w{2,12} e-?mail|external: |outside (?:of )?(?:the |our |your )?"
    r"(?:organi[sz]ation|company|network|university|corporate)|extern\w{0,3} (?:absender|e-?mail|nachricht|quelle|adresse)"
    r"|au(?:ß|ss)erhalb (?:der|des|unserer?|ihrer?) |expéditeur ext|(?:provient|vient|émane) de l['\u2019]ext|source externe"
    r"|(?:fuera|externo) (?:de la|a la) (?:organización|empresa)|exterior de |remitente externo|correo extern"
    r"|fora da (?:organização|empresa)|remetente externo|e-?mail é extern|(?:mittente|fonte) estern|dall['\u2019]esterno"
    r"|estern[oa] all['\u2019]|buiten (?:de|onze|uw) (?:organisatie|eigen)|externe (?:afzender|e-?mail|bron)"
    r"|spoza (?:organizacji|firmy)|zewnętrzn\w{1,3} (?:nadawc|wiadomo|e-?mail|źród)|extern avsändare"
    r"|utanför (?:organisationen|företaget)|ekstern (?:afsender|avsender)|uden for organisationen|utenfor organisasjonen"
    r"|organisaation ulkopuol|ulkopuolinen lähettäjä|mimo organizac|externí (?:e-?mail|odesílatel|zpráv)|külső feladó"
    r"|szervezeten kívül|din afara organizației|kuruluş d\u0131ş\u0131ndan|harici (?:e-?posta|gönderen)|εκτός (?:του )?οργανισμού"
    r"|внешн\w{2} (?:письм|отправител|почт|источник)|за пределами (?:организации|компании)|зовнішн\w{2} (?:лист|відправник)"
    r"|خارج المؤسسة|(?:مصدر|مرسل|بريد) خارجي|מחוץ לארגון|שולח חיצוני|外部(?:邮件|郵件|メール|からの|发件人|寄件|来源|來源)"
    r"|[来來]自外部|組織外|组织外|외부 ?(?:메일|이메일|발신|에서)",
    re.IGNORECASE,
)
_CARE = regex(
    r"caution|careful|cautious|click|links?\b|attach|verif|validat|trust|originat|(?:came|comes|sent|received|is) from"
    r"|vorsicht|anh[aä]ng|stammt|kommt|prudent|clique|pi[èe]ces? jointe|provient|cuidado|enlace|adjunt|proviene|procede"
    r"|anexo|attenzione|allegat|voorzichtig|bijlage|komt|ostrożn|załącz|bilagor|kommer|vedhæft|vedlegg|liitte|příloh"
    r"|melléklet|eklenti|вложен|вкладен|קישור|روابط|مرفق|链接|連結|リンク|添付|附件|첨부|링크",
    re.IGNORECASE,
)
_TAG_WORDS = r"(?:external|extern|externe|externo|esterno|ext|外部メール|外部邮件|外部郵件|외부 ?메일)"
_TAG = regex(
    rf"[\W_]{{0,12}}{_TAG_WORDS}(?: (?:e-?mail|message|sender|mail))?"
    r"(?:[\W_]{1,8}(?:use caution|be careful|caution))?[\W_]{0,12}",
    re.IGNORECASE,
)
"""A line that a gateway puts on top: ``[EXTERNAL EMAIL]``."""

_SELDOM = regex(
    r"\W{0,5}(?:(?:you|some people who received this message) (?:don['\u2019]t|do not) often get e-?mail"
    r"|sie erhalten nicht (?:häufig|oft|regelmäßig)|vous n['\u2019](?:obtenez|recevez) pas souvent|no (?:suele recibir|recibe a menudo)"
    r"|(?:u|je) ontvangt? niet vaak|non (?:si ricevono|ricevi) spesso|(?:você )?(?:não costuma receber|não recebe (?:muitas vezes|com frequência))"
    r"|(?:nie otrzymujesz|niezbyt często)|du får (?:inte|ikke) (?:ofte|ofta))",
    re.IGNORECASE,
)
"""Microsoft's hint on a sender's first messages."""

_ADVICE = regex(
    r"links?\b|attach|anhänge|pièces jointes|liens|enlaces|adjuntos|anexos|allegati|bijlagen|załącz|bilagor",
    re.IGNORECASE,
)

_ANSWERS = frozenset(
    (
        "yes", "no", "ok", "okay", "sure", "great", "perfect", "please", "thanks", "done", "agreed", "deal", "hello", "hi",
        "ja", "nein", "gut", "danke", "bitte", "oui", "non", "merci", "sí", "si", "gracias", "sim", "não", "obrigado",
        "obrigada", "grazie", "nee", "dank", "tak", "nej", "да", "нет", "спасибо", "monday", "tuesday", "wednesday",
        "thursday", "friday", "saturday", "sunday", "today", "tomorrow", "montag", "dienstag", "mittwoch", "donnerstag",
        "freitag", "samstag", "sonntag", "heute", "morgen", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi",
        "dimanche", "demain",
    )
)  # fmt: skip
"""What looks like a name as the last line, and answers."""

_RULE_ABOVE_SIGNATURE = regex(r"_{2,80}|[\u2014\u2013\u2015]{2,80}")
_SHORT = 80  # characters; longer lines below a closing formula are sentences
_SENTENCE_WORDS = 3  # of what stands above a name: fewer may be a list
_NAME_WORDS = 3
_INITIALS = 2  # letters: "JD", and before a full stop "J.", "Dr."
_IN_NAMES = str.maketrans("", "", ".-'\u2019")
_NAMES = 2  # lines below "Thanks,": a name and sometimes a place

_CLOSING = regex(
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
_THANKS = regex(
    r"\s{0,5}(?:(?:many |with )?thanks(?: again| in advance)?|thank you(?: very much| so much)?|thx|vielen dank|danke"
    r"(?:schön)?|besten dank|merci(?: beaucoup| d'avance)?|gracias|obrigad[oa]|grazie|bedankt|dank u?|tack|takk?|kiitos"
    r"|dziękuję|děkuji|спасибо|ευχαριστώ|teşekkürler|谢谢|謝謝|ありがとうございます|감사합니다|شكرا|תודה)[\s,.!]{0,3}",
    re.IGNORECASE,
)
_NAME = regex(r"\s*[^\W\d_][\w.'-]{0,20}(?:(?: [\w.'-]{1,20}){0,2} (?:[\w'-]{1,20}|\w\.))?\s*")
_DASHED_NAME = regex(r"\s{0,3}[-\u2013\u2014] ?[^\W\d_][\w.]{0,20}(?: [\w.]{1,20}){0,3}\s*")


def without_preface(lines: list[str]) -> list[str]:
    """Return *lines* without what stands above the author's words: warnings of gateways, a device. All if that is all."""
    start = 0
    while start < len(lines):
        if lines[start].strip() and not (length := _preface(lines, start)):
            return lines[start:] if start else lines
        start += length if lines[start].strip() else 1
    return lines


def _preface(lines: Sequence[str], start: int) -> int:
    """Return how many lines from *start* are a warning or name a device, 0 for none."""
    head = head_of(lines[start])
    if _TAG.fullmatch(head) or (_names_device(head) and _PRODUCT.search(head)):
        return 1
    if _SELDOM.match(head):
        return 1 if "@" in head or start + 1 == len(lines) else 2
    if not (_CAUTION.match(head) or _THIS_MESSAGE.match(head) or _OUTSIDE.search(head[:_FIRST_WORDS])):
        return 0
    end = start + 1
    while end < min(len(lines), start + _PREFACE_LINES) and lines[end].strip():
        before, line = head_of(lines[end - 1]).rstrip(), head_of(lines[end])
        if before.endswith(_ENDS) and not _ADVICE.search(line):
            break
        end += 1
    said = " ".join(map(head_of, lines[start:end]))
    warns = _OUTSIDE.search(said) and (_CAUTION.match(said) or _CARE.search(said))
    return end - start if warns else 0


def without_signature(lines: list[str]) -> list[str]:
    """Return *lines* up to the signature that ends them, all if there is none."""
    for number, line in enumerate(lines):
        if _begins_signature(lines, number, head_of(line)):
            return lines[:number]
    return lines


def _names_device(head: str) -> bool:
    stripped = head.strip()
    if len(stripped) >= _DEVICE_LIMIT or not _DEVICE.match(stripped):
        return False
    return not _SENTENCE.search(stripped.rstrip(".") if _PRODUCT.search(stripped) else stripped)


def _begins_signature(own: Sequence[str], number: int, head: str) -> bool:
    """Return whether a signature begins at line *number*: a mark or device anywhere, a formula or name near the end."""
    stripped = head.strip()
    if not stripped:
        return False
    device = _names_device(head)
    if stripped in ("--", "\u2014", "\u2013\u2013") or (device and _PRODUCT.search(stripped)):
        return True
    if len(own) - number > 2 * _SIGNATURE_LINES:
        return False
    rest = [line for line in own[number + 1 :] if line.strip()]
    if not rest:
        return device or _is_last_word(own[:number], head)
    return len(rest) < _SIGNATURE_LINES and (
        (device and len(rest) <= _NAMES)
        or _RULE_ABOVE_SIGNATURE.fullmatch(stripped) is not None
        or (_CLOSING.fullmatch(stripped) is not None and all(len(line) <= _SHORT for line in rest))
        or (_THANKS.fullmatch(stripped) is not None and len(rest) <= _NAMES and all(map(_NAME.fullmatch, rest)))
    )


def _is_last_word(above: Sequence[str], head: str) -> bool:
    """Return whether the last line *head* only takes leave of the reader: a closing formula, or a name in a paragraph of
    its own below sentences. A name that may be an answer is none."""
    words = head.split()
    if _CLOSING.fullmatch(head.strip()):
        return any(line.strip() for line in above)
    if not above or above[-1].strip():
        return False
    if _DASHED_NAME.fullmatch(head):
        return True
    said = head_of(next((line for line in reversed(above) if line.strip()), "")).rstrip()
    return (
        said.endswith((".", "?", "\u2026"))  # below an exclamation it may be one more
        and len(said.split()) >= _SENTENCE_WORDS
        and len(words) <= _NAME_WORDS
        and all(map(_is_name, words))
        and not _ANSWERS.intersection(map(str.casefold, words))
    )


def _is_name(word: str) -> bool:
    letters = word.translate(_IN_NAMES)
    if word.endswith(".") and len(letters) > _INITIALS:
        return False  # a sentence of one word
    return letters.isalpha() and letters[0].isupper() and (len(letters) <= _INITIALS or not letters.isupper())
