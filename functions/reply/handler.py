"""reply: decides about messages to the thread addresses, and runs its two passes."""

from email_handler import bootstrap
from email_handler.runtime import receiving_handler
from email_handler.usecases.reply import relay_reply

handler = receiving_handler(
    "reply", bootstrap.context, receive=relay_reply, hourly=bootstrap.reply_hourly, daily=bootstrap.reply_daily
)
