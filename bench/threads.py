"""How many threads stay whole if some of their messages never arrive, or arrive late: ``make bench B=threads``.

Feeds the threads of tests/data/mail_threads.toml to the use cases, all from one verified contact, by date and in three
random orders: with the ids remembered that are named and not seen yet (ADR 29), and without. *Whole* means that all
messages of a thread share a conversation, *merged* that another thread's messages are in it too. Also printed: the
most ids that a contact's record held.

``make bench B=threads ARGS="FOLDER…"`` does the same with the threads among the messages below folders, a list's
archive for example: those that share ids and have two messages or more, 24 at a time for each contact.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import batched
from pathlib import Path

from email_handler.mail.dates import read_date
from email_handler.mail.message import Message
from email_handler.mail.parsing import parse
from tests.support.mail_threads import Placed, ThreadMail, place, thread_mail, written_threads

SEEDS = (1, 2, 3)
TOGETHER = 24  # threads of one contact
MAX_MESSAGES = 60  # of one thread: the rest of a longer one is left out
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def main() -> None:
    """Read the command line, feed and print."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("folders", nargs="*", type=Path)
    folders = arguments.parse_args().folders
    groups = list(real_threads(folders)) if folders else [written_threads()]
    of_groups = [{message.thread for message in group} for group in groups]
    print(f"{sum(map(len, of_groups))} threads, {sum(map(len, groups))} messages, {len(groups)} contacts")
    print(f"{'':14}{'without':^24}{'with remembered ids':^32}")
    print(f"{'order':14}" + "".join(f"{title:>8}" for title in ("whole", "merged", "", "whole", "merged", "ids")))
    for name, seed in (("by date", None), *((f"random {seed}", seed) for seed in SEEDS)):
        orders = [group if seed is None else random.Random(seed).sample(group, len(group)) for group in groups]
        before, after = ([place(order, remembering=kind) for order in orders] for kind in (False, True))
        print(
            f"{name:14}{_line(before, of_groups)}{'':8}{_line(after, of_groups)}{max(one.most_awaited for one in after):>8}"
        )


def _line(placed: Sequence[Placed], threads: Sequence[set[str]]) -> str:
    whole = sum(map(len, threads)) - sum(len(one.torn) for one in placed)
    return f"{whole:8}{sum(len(one.merged) for one in placed):8}"


def real_threads(folders: Sequence[Path]) -> Iterator[list[ThreadMail]]:
    """Yield the threads among the messages below *folders*, ``TOGETHER`` of them at a time, by date."""
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    messages = {message.message_id: message for message in map(parse, (path.read_bytes() for path in files))}
    messages.pop("", None)
    threads: dict[str, list[Message]] = defaultdict(list)
    leads: dict[str, str] = {}
    for message in messages.values():
        for named in (*message.references, *message.in_reply_to):
            leads[_first(leads, named)] = _first(leads, message.message_id)
    for message in messages.values():
        threads[_first(leads, message.message_id)].append(message)
    several = [thread for thread in threads.values() if len(thread) > 1]
    for together in batched(several, TOGETHER):
        kept = [(name, one) for name, thread in enumerate(together) for one in sorted(thread, key=_date)[:MAX_MESSAGES]]
        yield [
            ThreadMail(
                thread=str(name),
                raw=thread_mail(one.message_id, one.subject, one.in_reply_to, one.references),
            )
            for name, one in sorted(kept, key=lambda pair: _date(pair[1]))
        ]


def _first(leads: dict[str, str], message_id: str) -> str:
    """Return the id that stands for all that *message_id* is tied to."""
    while (next_one := leads.setdefault(message_id, message_id)) != message_id:
        leads[message_id] = leads.setdefault(next_one, next_one)
        message_id = next_one
    return message_id


def _date(message: Message) -> datetime:
    found = read_date(message.header("Date"))
    return found if found and found.tzinfo else EPOCH


if __name__ == "__main__":
    main()
