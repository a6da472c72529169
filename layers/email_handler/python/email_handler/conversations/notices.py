"""What the owner is told by a notice of ours: kept in a ledger item's ``note``."""

from enum import StrEnum

from email_handler.conversations.records import REMINDER

DIGEST = "digest"
"""The note of the list of held messages, which is a notice of its own form."""


class NoticeKind(StrEnum):
    """What a notice is about."""

    NOT_VERIFIED = "not-verified"  # a message to a thread address is not verified to be the owner's
    NOT_OWNER = "not-owner"  # somebody else wrote to a thread address
    AUTOMATIC = "automatic"  # the owner's message looks like a machine's
    TO_NOTICES = "to-notices"  # the owner replied to a notice
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the owner wrote to a thread address that opens nothing
    SEVERAL = "several"  # the owner wrote to more than one conversation at once
    VIRUS = "virus"  # SES found a virus in the owner's reply
    NOT_NAMED = "not-named"  # the thread address is neither in To nor in Cc of the owner's message
    REPEATED = "repeated"  # the same text went to the contact twice within an hour
    NO_ADDRESS = "no-address"  # the contact left no address to reply to
    UNCHECKED = "unchecked"  # parts of the reply could not be checked, and the operator wants such replies held
    CHANGED = "changed"  # the reply leaves, but something in the owner's own words was replaced
    LEAK = "leak"  # the leak gate held the reply
    MISTAKE = "mistake"  # a mistake of ours kept the message from being read
    NOT_SENT = "not-sent"  # the reply was accepted, then dead-lettered
    MAY_BE_SENT = "may-be-sent"  # the reply may have left as often as it may, without SES's confirmation
    BOUNCED = "bounced"  # the reply was sent and bounced
    NEW_UNREADABLE = "new-unreadable"  # a starting address names nobody
    NEW_FROM = "new-from"  # a starting address names a public address that does not exist
    NEW_OURS = "new-ours"  # a starting address names us or an owner
    NEW_UNREACHABLE = "new-unreachable"  # what was sent to that contact came back
    NEW_BLOCKED = "new-blocked"  # a starting address names a contact whose messages are held
    NEW_CAPPED = "new-capped"  # as many conversations were started today as may be
    NEW_COMMAND = "new-command"  # a command went to a starting address
    TOO_MUCH = "too-much"  # the contact's server refused the reply's size or attachments
    RETURNED = "returned"  # SES gave the reply up, or an automatic reply came back: the next may arrive
    SUPPRESSED = "suppressed"  # SES sent nothing: an earlier message to the address bounced or was complained about
    DELAYED = "delayed"  # the reply is still being tried after an hour
    COMPLAINED = "complained"  # the contact marked the reply as spam
    REJECTED = "rejected"  # SES found a virus in the reply after it had taken it
    COMMAND = "command"  # what became of a command of the owner's
    REMINDER = REMINDER  # the end of a snooze
    WAITS = "waits"  # the owner's first message to a contact can be cancelled until it leaves
    CHECK = "check"  # the owner's reply, as the contact would get it
    FILES = "files"  # files that were left out of a forward
