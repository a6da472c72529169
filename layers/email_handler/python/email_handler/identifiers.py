"""The strings that must not be confused with each other, as types of their own."""

from typing import Literal, NewType

ConversationId = NewType("ConversationId", str)
"""``c-`` and 8 characters of lower-case Crockford base32, or ``linkedin-<name>``."""

ReceiptId = NewType("ReceiptId", str)
"""SES's messageId of a received message, also the last part of its key under ``raw/``."""

SesId = NewType("SesId", str)
"""The bare id that SES's API returned for a message we sent, without ``@`` and host."""

LedgerId = NewType("LedgerId", str)
"""Deterministic id of one send: the same (kind, conversation, source, recipient) gives the same id."""

ArchiveKey = NewType("ArchiveKey", str)
"""Key of an object in the archive bucket, such as ``raw/inbound/<ReceiptId>``."""

EmailAddress = NewType("EmailAddress", str)
"""One address as ``local@domain``, domain lower-cased; without display name or angle brackets."""

FunctionName = Literal["inbound", "reply"]
"""The receiving function that a message was handed to. One message can reach both."""

type Decider = Literal["inbound", "reply", "operator"]
"""Who decided about a receipt: a receiving function, or the operator, who releases or confirms what was held."""
