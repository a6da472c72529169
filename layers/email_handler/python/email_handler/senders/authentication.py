"""What SES found about a received message, and whether it verifies the sender.

SES's verdicts do not name a domain: a DKIM PASS may be for the attacker's own. The domain is only in the
``Authentication-Results`` field that SES puts on top of the stored object. Anyone can send another such field below it.
"""

from collections.abc import Sequence
from dataclasses import field

from email_handler.identifiers import EmailAddress, ReceiptId
from email_handler.mail.addresses import aligned, ascii_domain
from email_handler.mail.message import FIELDS_LEFT_OUT, Message
from email_handler.mail.patterns import regex
from email_handler.values import dataclass

AUTHSERV_ID = "amazonses.com"

_FIELD_LIMIT = 4000
"""Characters. A longer ``Authentication-Results`` or From field is not evidence: it may have been cut where its author
wanted, as in ``header.i=@victim.example`` from ``…@victim.example.evil.test``."""

_SES_ENDS_WITH = frozenset({"x-ses-receipt", "x-ses-dkim-signature"})
"""The last fields of the block that SES puts on top. Fields below it came with the message."""

_VERIFIED_BY = frozenset({"dmarc pass", "dkim aligned", "spf aligned"})
"""The reasons for which a sender is verified."""

_DEVIATIONS = frozenset("\u00df\u03c2")
"""In IDNA 2003 other letters, in IDNA 2008 letters of their own (UTS #46 §2.3): two domains, two owners."""

_DOMAIN = regex(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SesReceipt:
    """One SES receipt. Verdicts are open strings in upper case, "" if missing: SES documents PASS, FAIL, GRAY,
    PROCESSING_FAILED and DISABLED."""

    id: ReceiptId
    envelope_sender: str  # "" for the null sender (bounces)
    recipients: tuple[EmailAddress, ...]  # of the envelope: those that the receipt rule matched
    spam: str
    virus: str
    spf: str
    dkim: str
    dmarc: str
    dmarc_policy: str  # none, quarantine, reject, "" if missing
    headers: bytes = field(default=b"", repr=False)  # the header section, if SES's event has all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderVerification:
    """Whether the sender of a message is verified, and the reason."""

    address: EmailAddress | None  # if verified, From's single address in lower case, so that it can be compared
    reason: str  # constant: "dmarc pass", "dkim aligned", "spf aligned", "several From fields", ...

    @property
    def verified(self) -> bool:
        """Return whether the From address is the sender's own."""
        return self.address is not None

    @property
    def suffices_for_owner(self) -> bool:
        """Return whether this is enough to speak as an owner. SPF alone is not: it verifies a server, which others may
        use too."""
        return self.verified and self.reason != "spf aligned"


def verify_sender(message: Message, receipt: SesReceipt) -> SenderVerification:
    """Return whether *message*, as SES received it under *receipt*, verifies its sender.

    It needs one From field with one address, and either DMARC PASS; or no DMARC FAIL, and in SES's own results a DKIM
    pass, or an SPF pass of the envelope sender, for a domain aligned with From's (RFC 7489 §3.1, relaxed).
    A DMARC pass does not count if SES's results state it for a domain that is not aligned: then SES and we read the From
    field differently, which is how forged From fields work.
    """
    problem = _from_problem(message) or ("dmarc fail" if receipt.dmarc == "FAIL" else "")
    if problem:
        return SenderVerification(address=None, reason=problem)
    address = message.from_[0].address
    reason = _alignment(message, receipt, _domain(address))
    return SenderVerification(address=EmailAddress(address.lower()) if reason in _VERIFIED_BY else None, reason=reason)


_RECIPIENTS = frozenset(("to", "cc"))
_TAG = regex(r"(?:^|;)([dh])=([^;]*)")  # of a DKIM signature without its blanks (RFC 6376 §3.5)


def added_recipients(message: Message, receipt: SesReceipt) -> frozenset[str]:
    """Return which of "to" and "cc" somebody who got *message* may have added to it before they sent it on.

    A field that stands twice: RFC 5322 §3.6 allows one, and a signature covers the lowest (RFC 6376 §5.4.2). And one that
    a signature of From's domain leaves out, if it signs the other; unless SPF shows that the message came straight from
    that domain.
    """
    names = [header.name.lower() for header in message.headers]
    repeated = frozenset(name for name in _RECIPIENTS if names.count(name) > 1)
    domain = _domain(message.from_[0].address) if message.from_ else ""
    if _spf_aligned(_ses_results(message), receipt.envelope_sender, domain):
        return repeated
    signatures = (header.raw for header in message.headers if header.name.lower() == "dkim-signature")
    signed = (_signed_recipients(signature, domain) for signature in signatures)
    return repeated.union(*(_RECIPIENTS - fields for fields in signed if fields))


def _signed_recipients(signature: str, domain: str) -> frozenset[str]:
    """Return which of To and Cc the DKIM *signature* covers, none if it is not aligned with *domain*."""
    tags = dict(_TAG.findall("".join(signature.split())))
    if not aligned(_domain(tags.get("d", "")), domain):
        return frozenset()
    return _RECIPIENTS.intersection(tags.get("h", "").lower().split(":"))


def receipt_from_message(
    message: Message, receipt_id: ReceiptId, recipients: Sequence[EmailAddress] = ()
) -> SesReceipt:
    """Rebuild the receipt of a stored object whose event was lost, from the fields that SES put on top of it.

    SES's ``Received`` field names the recipient if there was only one; *recipients* are others to assume. The DMARC
    policy is "": the object does not contain it.
    """
    top = _ses_fields(message)
    results = _ses_results(message)
    return SesReceipt(
        id=receipt_id,
        envelope_sender=_between_angles(top.get("return-path", "")),
        recipients=tuple(dict.fromkeys((*_received_for(top.get("received", "")), *recipients))),
        spam=top.get("x-ses-spam-verdict", "").strip().upper(),
        virus=top.get("x-ses-virus-verdict", "").strip().upper(),
        spf=_verdict(results, "spf"),
        dkim=_verdict(results, "dkim"),
        dmarc=_verdict(results, "dmarc"),
        dmarc_policy="",
    )


def bare_receipt(receipt_id: ReceiptId, recipients: Sequence[EmailAddress] = ()) -> SesReceipt:
    """Return the receipt of a stored object whose fields cannot be read: nothing is known of SES's verdicts."""
    return SesReceipt(
        id=receipt_id,
        envelope_sender="",
        recipients=tuple(recipients),
        spam="",
        virus="",
        spf="",
        dkim="",
        dmarc="",
        dmarc_policy="",
    )


def _from_problem(message: Message) -> str:
    """Return why From cannot be verified, whatever SES found; "" if it is one field with one address."""
    length = sum(len(header.raw) for header in message.headers if header.name.lower() == "from")
    problems = {
        "header fields left out": FIELDS_LEFT_OUT in message.defects,  # another From may be among them
        "no From field": message.from_fields == 0,
        "several From fields": message.from_fields > 1,
        "no From address": not message.from_,
        "several From addresses": len(message.from_) > 1,
        "malformed From address": length > _FIELD_LIMIT
        or "" in [_domain(mailbox.address) for mailbox in message.from_],
    }
    return next((problem for problem, holds in problems.items() if holds), "")


def _alignment(message: Message, receipt: SesReceipt, domain: str) -> str:
    """Return which of :data:`_VERIFIED_BY` SES found for From's *domain*, else why none applies."""
    results = _ses_results(message)
    if receipt.dmarc == "PASS":
        stated = [result.properties.get("header.from", "") for result in results if result.passed("dmarc")]
        if any(name and not aligned(_domain(name), domain) for name in stated):
            return "dmarc pass for another domain"
        return "dmarc pass"
    if any(_dkim_aligned(result, domain) for result in results if result.passed("dkim")):
        return "dkim aligned"
    if _spf_aligned(results, receipt.envelope_sender, domain):
        return "spf aligned"
    return "nothing aligned" if results else "no results of SES"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """One ``;``-separated piece of the field: ``dkim=pass header.i=@example.com`` (RFC 8601 §2.2).

    SES also puts semicolons between SPF's properties (``client-ip=…; envelope-from=…; helo=…``). These become results
    of their own, with names that are not methods.
    """

    method: str
    value: str
    properties: dict[str, str]  # empty if one of them is unreadable or repeated

    def passed(self, method: str) -> bool:
        return self.method == method and self.value == "pass"


def _dkim_aligned(result: _Result, domain: str) -> bool:
    """Return whether the signing domain and the signer's identity are aligned, whichever of them SES states."""
    stated = [result.properties[key] for key in ("header.d", "header.i") if key in result.properties]
    return bool(stated) and all(aligned(_domain(value), domain) for value in stated)


def _spf_aligned(results: Sequence[_Result], envelope_sender: str, domain: str) -> bool:
    """Return whether SPF verifies the envelope sender, and its domain is aligned.

    If SES repeats the envelope sender in its results, its domain must be the same.
    """
    spf = [result for result in results if result.method == "spf"]
    if len(spf) != 1 or spf[0].value != "pass":
        return False
    envelope_domain = _domain(envelope_sender)
    repeated = [result.value for result in results if result.method == "envelope-from"]
    repeated += [spf[0].properties[key] for key in ("smtp.mailfrom", "envelope-from") if key in spf[0].properties]
    return all(_domain(value) == envelope_domain for value in repeated) and aligned(envelope_domain, domain)


def _domain(address: str) -> str:
    """Return the domain of *address* (or a bare domain) in lower case, "" if it could not be in the DNS, or if another
    server may take it for another domain."""
    written = address.rpartition("@")[2]
    domain = ascii_domain(written)
    return domain if _DOMAIN.fullmatch(domain) and _DEVIATIONS.isdisjoint(written.lower()) else ""


def _ses_results(message: Message) -> tuple[_Result, ...]:
    """Return the results in SES's own field: the first of its name, in the block on top, with SES's authserv-id."""
    field = _ses_fields(message).get("authentication-results", "")
    pieces = _pieces(field) if len(field) <= _FIELD_LIMIT else []
    if not pieces or not pieces[0] or pieces[0][0].lower() != AUTHSERV_ID:
        return ()
    return tuple(_result(*words) for words in pieces[1:] if words)


def _ses_fields(message: Message) -> dict[str, str]:
    """Return the first value of each field of SES's block, by lower-case name.

    The block ends at ``X-SES-RECEIPT``, or before a second ``Received``: SES writes one, at the top.
    """
    fields: dict[str, str] = {}
    for header in message.headers:
        name = header.name.lower()
        if name in _SES_ENDS_WITH or (name == "received" and "received" in fields):
            break
        fields.setdefault(name, header.raw)
    return fields


def _pieces(field: str) -> list[list[str]]:
    """Return the words of each piece between semicolons, without comments; a quoted string is part of its word.

    Return [] if a comment or a quoted string does not end: such a field does not count. One pass.
    """
    pieces: list[list[str]] = [[]]
    word = ""
    depth = 0
    quoted = False
    characters = iter(field)
    for character in characters:
        if character == "\\" and (quoted or depth):
            escaped = next(characters, "")
            word += escaped if quoted else ""
        elif quoted:
            quoted = character != '"'
            word += character if quoted else ""
        elif depth:
            depth += (character == "(") - (character == ")")
        elif character == '"':
            quoted = True
        elif character in "(; \t":
            if word:
                pieces[-1].append(word)
            word = ""
            depth = int(character == "(")
            if character == ";":
                pieces.append([])
        else:
            word += character
    if word:
        pieces[-1].append(word)
    return [] if quoted or depth else pieces


def _result(stated: str, *others: str) -> _Result:
    method, _, value = stated.partition("=")
    properties: dict[str, str] = {}
    for word in others:
        name, equals, given = word.partition("=")
        if not equals or name.lower() in properties:
            properties = {}
            break
        properties[name.lower()] = given
    return _Result(
        method=method.partition("/")[0].lower(),  # RFC 8601 §2.2: a method may carry its version
        value=value.lower(),
        properties=properties,
    )


def _verdict(results: Sequence[_Result], method: str) -> str:
    """Return the verdict that SES would give for *results*. Of several signatures the best counts, as in DMARC."""
    values = {result.value for result in results if result.method == method}
    if not values:
        return ""
    for value, verdict in (("pass", "PASS"), ("fail", "FAIL"), ("temperror", "PROCESSING_FAILED")):
        if value in values:
            return verdict
    return "GRAY"


def _between_angles(value: str) -> str:
    return value.strip().removeprefix("<").removesuffix(">").strip()


def _received_for(received: str) -> tuple[EmailAddress, ...]:
    """Return the address after ``for`` in SES's own ``Received`` field (RFC 5321 §4.4)."""
    words = received.partition(";")[0].split()
    named = [_between_angles(words[i + 1]) for i, word in enumerate(words[:-1]) if word.lower() == "for"]
    local, _, domain = named[-1].rpartition("@") if named else ("", "", "")
    return (EmailAddress(f"{local}@{domain.lower()}"),) if local and domain else ()
