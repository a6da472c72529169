"""What messages and sends leave behind, compared with their truths: ids, events, counters, indexes, objects, tags."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from email_handler.adapters.dynamodb.items import Attributes
from email_handler.conversations.disposition import Outcome
from email_handler.conversations.jobs import JobKind
from email_handler.conversations.records import SendState
from tests.faults.seen import Letter, digest
from tests.faults.truths import Case, Group

PRIVATE = "@private.example"  # where the owner's mailboxes are
OWNERS = (JobKind.FORWARD, JobKind.NOTICE)
MAX_LINKS = 10  # messages that a conversation remembers
SENT = {SendState.SENT, SendState.BOUNCED}
HELD, STARTED = "Message Held", "Conversation Started"
EVENTS = {
    JobKind.ACKNOWLEDGEMENT: "Acknowledgement Sent",
    JobKind.FORWARD: "Message Forwarded",
    JobKind.REPLY: "Reply Sent",
}
VERDICTS = {Outcome.HOLD: "held", Outcome.FLAG: "flagged", Outcome.DROP: "dropped"}


def judge_traces(case: Case) -> None:
    """Judge everything that messages and sends leave behind."""
    _judge_letters(case)
    _judge_events(case)
    _judge_references(case)
    _judge_conversations(case)
    _judge_contacts(case)
    _judge_feedback(case)
    _judge_indexes(case)
    _judge_raw(case)
    _judge_objects(case)


# What recipients see


def _judge_letters(case: Case) -> None:
    """Compare what each recipient sees."""
    known = _ids_of_owners(case)
    for group in case.groups:
        for letter in group.letters:
            what = f"{group.kind} to {group.to}"
            case.check(f"{what}: it has a text", any(letter.lines), True)
            if group.truth:
                case.check(f"{what}: subject", letter.subject.endswith(group.truth.subject), True)
            if group.truth and group.truth.files is not None:
                case.check(f"{what}: attachments", letter.files, group.truth.files)
            elif not group.truth:
                case.check(f"{what}: attachments", letter.files, ())
            _judge_side(case, what, group, letter)
            _judge_ids(case, what, group, letter, known)


def _judge_side(case: Case, what: str, group: Group, letter: Letter) -> None:
    """Check that a contact sees the public address alone, and that what an owner answers leads to the conversation."""
    named = {item["conversation"] for item in group.items}
    conversations = [item for item in case.of_type("conversation") if item["id"] in named]
    if group.kind not in OWNERS:
        case.check(f"{what}: sender", {letter.sender}, {item["public_address"] for item in conversations})
        case.check(f"{what}: it names a mailbox of the owner's", PRIVATE in letter.readable, False)
    elif conversations and not letter.sender.startswith("notices@"):
        ends = tuple(item["token"] for item in conversations)
        case.check(f"{what}: it leads to its conversation", letter.sender.rpartition("@")[0].endswith(ends), True)


def _judge_ids(case: Case, what: str, group: Group, letter: Letter, known: dict[str, set[str]]) -> None:
    """Compare what places the letter in its recipient's thread."""
    truth = group.truth
    if truth and truth.starts and group.kind is JobKind.REPLY:
        case.check(f"{what}: it replies to nothing", (letter.in_reply_to, letter.references), ("", ()))
        return
    side = "o" if group.kind in OWNERS else "c"
    roots = {f"{item['conversation']}.{side}" for item in group.items}
    root = letter.references[0] if letter.references else ""
    case.check(f"{what}: References begin with the conversation's id", root.partition("@")[0] in roots, True)
    case.check(f"{what}: In-Reply-To is the last reference", letter.references[-1:], (letter.in_reply_to,))
    if group.kind is JobKind.ACKNOWLEDGEMENT:
        theirs = {(truth.sender, truth.message_id) for truth in case.arrivals.values()}
        case.check(f"{what}: it answers a message of theirs", (group.to, letter.in_reply_to) in theirs, True)
    elif truth and group.kind is JobKind.FORWARD:
        place = known[truth.after] if truth.after else {root, *known[root.partition(".")[0]]}
        case.check(f"{what}: it follows in the owner's thread", letter.in_reply_to in place, True)
    elif truth and truth.answers and group.kind is JobKind.REPLY:
        case.check(f"{what}: In-Reply-To", letter.in_reply_to, truth.answers)


def _ids_of_owners(case: Case) -> dict[str, set[str]]:
    """Return the Message-IDs that owners know, by message and by conversation."""
    known: dict[str, set[str]] = defaultdict(set)
    for group in case.groups:
        if group.truth and group.kind is JobKind.FORWARD:
            for name in (group.truth.name, *(item["conversation"] for item in group.items)):
                known[name] |= {letter.message_id for letter in group.letters}
    for _, truth, record in case.passed_on():
        if record["outcome"] == Outcome.RELAY:
            known[record["conversation"]].add(truth.message_id)
    return known


# What workflows hear


def _judge_events(case: Case) -> None:
    """Compare what was published with what happened: each event at least once, always in the same words."""
    heard: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for event in case.seen.events:
        detail = event["detail"]
        key = (event["detail-type"], *(detail[name] for name in ("receipt", "function", "ledger") if name in detail))
        if detail not in heard[key]:
            heard[key].append(detail)
    case.doubled += [f"events: {key} in {len(versions)} versions" for key, versions in heard.items() if versions[1:]]
    case.compare("events", [key for key in heard if key[0] != STARTED], _expected_events(case))
    started = Counter(detail["conversation"] for key, (detail, *_) in heard.items() if key[0] == STARTED)
    case.check("each conversation starts once", started, Counter(i["id"] for i in case.of_type("conversation")))
    for (kind, receipt, function, *_), (detail, *_) in heard.items():
        if kind != HELD:  # a message that is released later belongs to no conversation yet
            of = case.records.get((receipt, function), {}).get("conversation")
            case.check(f"events: {kind} of {receipt} names the conversation", detail["conversation"], of)


def _expected_events(case: Case) -> Iterator[tuple[str, ...]]:
    for arrival, truth in case.arrivals.items():
        outcome = case.outcome(arrival)
        if outcome is Outcome.HOLD or truth.released:
            yield HELD, *arrival
        if outcome not in (Outcome.HOLD, Outcome.DROP, None):
            yield "Message Received", *arrival
    for key, _ in case.failures():
        yield "Delivery Failed", *key
    for group in case.groups:
        for item in group.items:
            if item["state"] in SENT and group.kind in EVENTS:
                yield EVENTS[group.kind], item["source"], item["source_function"], item["id"]


# What the records say


def _judge_references(case: Case) -> None:
    """Every id that somebody may name leads to its conversation, and ours to their sends."""
    known = {item["local_part"]: item for item in case.seen.items if item["sk"] == "REF"}
    for _, truth, record in case.passed_on():
        found = known.get(truth.message_id.partition("@")[0], {})
        case.check(f"{truth.name}: its id's conversation", found.get("conversation"), record["conversation"])
    for group in case.groups:
        for item in group.items:
            if item["state"] in SENT:
                found = known.get(item["ses_id"], {})
                leads = (found.get("conversation"), found.get("receipt"), found.get("ledger"))
                case.check(f"{group.kind}: its SES id", item["ses_id"] in {one.ses_id for one in group.letters}, True)
                case.check(f"{group.kind}: SES's id leads", leads, (item["conversation"], item["source"], item["id"]))


def _judge_conversations(case: Case) -> None:
    threads: dict[str, set[str]] = defaultdict(set)
    received: Counter[str] = Counter()
    contacts: dict[str, set[str]] = defaultdict(set)
    latest: dict[str, str] = defaultdict(str)
    for _, truth, record in case.passed_on():
        of, relayed = record["conversation"], record["outcome"] == Outcome.RELAY
        received[of] += not relayed
        latest[of] = max(latest[of], record["at"])
        if truth.thread:
            contacts[of].add((truth.to if relayed else truth.sender).lower())
        if truth.thread:
            threads[truth.thread].add(of)
    for thread, found in threads.items():
        case.check(f"conversations of thread {thread}", len(found), 1)
    case.check("threads in conversations of their own", len(set().union(*threads.values())), len(threads))
    sends = [(group, item) for group in case.groups for item in group.items if item["state"] in SENT]
    replies = Counter(item["conversation"] for group, item in sends if group.kind is JobKind.REPLY)
    for item in case.of_type("conversation"):
        of = item["id"]
        case.check(f"{of}: messages received", int(item["received"]), received[of])
        case.check(f"{of}: contact", {item["contact"].lower()}, contacts[of])
        case.check(f"{of}: updated with its messages", item["updated_at"] >= latest[of], True)
        case.check(f"{of}: replies sent", int(item["sent"]), replies[of])
        answered = bool(replies[of] or item["started_with"])
        case.check(f"{of}: the owner wrote", item["status"] in ("answered", "waiting"), answered)
        links = {link["receipt"]: link for link in item["links"]}
        for group, send in sends:
            if send["conversation"] == of and group.truth and (send["source"] in links or len(links) < MAX_LINKS):
                link = links.get(send["source"], {"owner_ids": {}, "contact_id": ""})
                own = link["contact_id"] if group.kind is JobKind.REPLY else link["owner_ids"].get(group.to)
                case.check(f"{of}: the id of its {group.kind}", (own or "").partition("@")[0], send["ses_id"])


def _judge_contacts(case: Case) -> None:
    written = Counter(
        truth.sender
        for _, truth, record in case.passed_on()
        if record["outcome"] != Outcome.RELAY and not truth.bounces and "@" in truth.sender
    )
    started = [truth.to for _, truth, _ in case.passed_on() if truth.starts]
    written.update(dict.fromkeys(started, 0))
    sends = [(group.kind, group.to, item) for group in case.groups for item in group.items]
    replied = {to for kind, to, item in sends if kind is JobKind.REPLY and item["state"] in SENT}
    failed = {record["feedback"]["recipient"] for _, record in case.failures()}
    contacts = {item["address"]: item for item in case.seen.items if item["sk"] == "CONTACT"}
    case.compare("contacts", contacts, written)
    for address, item in contacts.items():
        seen = (int(item["messages"]), item["written_to"], item["unreachable"])
        case.check(
            f"{address}: messages, written to, unreachable",
            seen,
            (written[address], address in replied, address in failed),
        )
    counters: Counter[str] = Counter()
    for item in case.seen.items:
        if item["sk"] == "COUNT":
            of = item["pk"].partition(" ")[2]
            counters["domain" if "." in of else of] += int(item["count"])  # "" of all
    acknowledged = sum(kind is JobKind.ACKNOWLEDGEMENT for kind, _, _ in sends)
    case.check(
        "acknowledgements counted, of all and by domain", (counters[""], counters["domain"]), (acknowledged,) * 2
    )
    case.check("conversations that owners started", counters["started"], len(started))


def _judge_feedback(case: Case) -> None:
    """Feedback marks its send as bounced; what it changes besides is judged with sends, events and contacts."""
    sends = {item["id"]: item for item in case.of_type("send")}
    reported = {record["feedback"]["ledger"] for _, record in case.failures()}
    told = [*case.bounced]
    for arrival, truth in case.arrivals.items():
        record = case.records.get(arrival)
        if truth.bounces and record and record["outcome"] == Outcome.RECORD and not _is_copy(record):
            told.append(truth.bounces)
    by_ses_id = {item["ses_id"]: item["id"] for item in sends.values()}
    case.compare("feedback", reported, {by_ses_id.get(ses_id, ses_id) for ses_id in told})
    bounced = {item["id"] for item in sends.values() if item["state"] == SendState.BOUNCED}
    case.compare("bounced sends", bounced, reported)


def _is_copy(record: Attributes) -> bool:
    return any(reason["stage"] == "duplicate" for reason in record["reasons"])


def _judge_indexes(case: Case) -> None:
    """Compare an item's index attributes with its own, so that no query finds it under an old value."""
    for item in case.seen.items:
        seen = {name.removeprefix("by_"): value for name, value in item.items() if name.startswith("by_")}
        case.check(f"{item['pk']} {item['sk']}: indexed", seen, {n: v for n, v in _indexed(item) if v})
        if seen and (dated := _DATED.get(item.get("type", ""))):
            # A conversation's is that of its last write, which may come long after its last message.
            seen_at = min(item["at"], item[dated]) if item["type"] == "conversation" else item["at"]
            case.check(f"{item['pk']}: its time in the indexes", seen_at, item[dated])
        if item.get("type") == "message" or item["sk"].startswith("DECISION#"):
            expires = item["outcome"] in (Outcome.HOLD, Outcome.DROP)
            case.check(f"{item['pk']} {item['sk']}: expires", "expires_at" in item, expires)
        case.check(f"{item['pk']}: an event waits", "unpublished_since" in item, False)


_DATED = {"send": "queued_at", "message": "at", "conversation": "updated_at"}
"""By what the indexes order each type of items; conversations not before that."""


def _indexed(item: Attributes) -> Iterator[tuple[str, str]]:
    match item.get("type"):
        case "send":
            yield (
                "send_state",
                str({"sent": "", "sending": "queued"}.get(item["state"], item["state"])),
            )  # a claim moves nothing
        case "message":
            yield "verdict", VERDICTS.get(item["outcome"], "")
        case None if item["sk"] == "DECISION#operator":
            yield "verdict", "decided"
        case "conversation":
            yield from ((name, item[name]) for name in ("status", "public_address", "source"))
            yield "contact", item["contact"].lower()  # one mailbox, however it is written: a server's MAILER-DAEMON too
            yield "domain", item["contact"].rpartition("@")[2]
            yield "day", item["started_at"][:10]


# What lies in the archive


def _judge_raw(case: Case) -> None:
    """Check what was received: tagged for expiry only if held or dropped, its attachments described in its record."""
    for arrival, truth in case.arrivals.items():
        receipt, function = arrival
        key, outcome = f"raw/{function}/{receipt}", case.outcome(arrival)
        tags = {"expires": "held"} if outcome in (Outcome.HOLD, Outcome.DROP) else {}
        case.check(f"{truth.name}: tags", case.seen.archive.tags(key), tags)
        if outcome not in (Outcome.HOLD, Outcome.DROP, None) and truth.files is not None:
            described = [(file["name"], file["sha256"]) for file in case.records[arrival]["attachments"]]
            case.check(f"{truth.name}: attachments described", tuple(described), truth.files)


def _judge_objects(case: Case) -> None:
    archive = case.seen.archive
    expected = {f"raw/{function}/{receipt}" for receipt, function in case.arrivals}
    expected |= {record["archive_key"] for _, record in case.failures()}
    for arrival, truth in case.arrivals.items():
        record = case.records.get(arrival)
        if record is None or record["outcome"] in (Outcome.HOLD, Outcome.DROP):
            continue
        folder = f"{record['conversation'] or 'none'}/{record['receipt']}"
        body, new = f"text/{folder}/body.txt", f"text/{folder}/new.txt"
        expected |= {body, new} if record.get("files", 1) else set()  # nothing is stored for one without files
        if {body, new} <= archive.keys:
            for key in (body, new):
                case.check(f"{key}: its own words", _has(archive.read(key), truth.text), True)
        stored = sorted(archive.below(f"attachments/{folder}/"))
        if truth.files is not None:
            expected_files = [found for _, found in truth.files]
            case.check(f"{truth.name}: files stored", [digest(archive.read(key)) for key in stored], expected_files)
        expected |= {*stored, *(file["text_key"] for file in record["attachments"] if file["text_key"])}
    optional: set[str] = set()
    for group in case.groups:
        kept = {letter.handed_in for letter in group.letters}
        for item in group.items:
            key = f"sent/{group.kind}/{item['id']}.eml"
            (expected if item["state"] in SENT else optional).add(key)
            optional.add(key.replace(".eml", ".ses-id"))
            if key in archive.keys and item["state"] in SENT:
                case.check(f"{key}: as sent", digest(archive.read(key)) in kept, True)
    documents = set(archive.below("config/"))  # the operator's
    case.compare("archive", archive.keys - optional - documents, expected)


def _has(content: bytes, text: str) -> bool:
    lines = [line.strip() for line in content.decode().splitlines()]
    own = [line.strip() for line in text.splitlines()]
    return any(lines[place : place + len(own)] == own for place in range(len(lines)))
