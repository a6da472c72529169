"""Threads of mail, fed to the use cases in any order, and what became of them: whole, torn, or in one with another."""

import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from email_handler.ports import Known, Question
from tests.support.builders import mail
from tests.support.fakes import FakeRecords
from tests.support.world import World

JANE = "Jane Doe <jane@customer.example>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadMail:
    """One message of a thread, its ids without ``<>``."""

    thread: str
    raw: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where threads ended."""

    torn: tuple[str, ...]  # threads in more than one conversation
    merged: tuple[str, ...]  # threads in a conversation with another one
    most_awaited: int  # the most ids that the contact's record held


class Forgetful(FakeRecords):
    """Records that do not look for awaited ids: what was before them."""

    def look_up(self, question: Question) -> Known:
        return replace(super().look_up(question), by_awaited=())


def written_threads() -> list[ThreadMail]:
    """Return the messages of ``tests/data/mail_threads.toml`` by date: one of each thread, then the next of each."""
    document = tomllib.loads((Path(__file__).parents[1] / "data/mail_threads.toml").read_text(encoding="utf-8"))
    numbered = [
        (number, ThreadMail(thread=thread["name"], raw=_raw(*message)))
        for thread in document["threads"]
        for number, message in enumerate(thread["messages"])
    ]
    return [message for _, message in sorted(numbered, key=lambda pair: pair[0])]


def thread_mail(message_id: str, subject: str, in_reply_to: Iterable[str], references: Iterable[str]) -> bytes:
    """Return a message of Jane's with these ids, without ``<>``."""
    named = {"in_reply_to": _ids(in_reply_to), "references": _ids(references)}
    fields: dict[str, Any] = {name: ids for name, ids in named.items() if ids}
    text = f"This is {message_id}.\r\n"
    return mail(subject=subject, sender=JANE, message_id=f"<{message_id}>", text=text, **fields)


def _raw(message_id: str, subject: str, in_reply_to: str, references: str) -> bytes:
    host = "customer.example"
    named = ([f"{one}@{host}" for one in ids.split()] for ids in (in_reply_to, references))
    return thread_mail(f"{message_id}@{host}", subject, *named)


def _ids(ids: Iterable[str]) -> str:
    return " ".join(f"<{one}>" for one in ids)


def place(messages: Sequence[ThreadMail], *, remembering: bool = True) -> Placed:
    """Let *messages* arrive, one an hour; without *remembering*, no awaited id leads anywhere."""
    world = World()
    if not remembering:
        world.records = Forgetful(world.clock)
    conversations: dict[str, set[str]] = defaultdict(set)
    most = 0
    for message in messages:
        conversations[message.thread].add(world.arrive(message.raw).conversation)
        world.now += timedelta(hours=1)
        most = max(most, *(len(contact.awaited) for contact in world.records.contacts.values()))
    threads: dict[str, set[str]] = defaultdict(set)
    for thread, ids in conversations.items():
        for conversation in ids:
            threads[conversation].add(thread)
    shared = {thread for together in threads.values() if len(together) > 1 for thread in together}
    torn = (thread for thread, ids in conversations.items() if len(ids) > 1)
    return Placed(torn=tuple(torn), merged=tuple(sorted(shared)), most_awaited=most)
