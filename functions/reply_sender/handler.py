"""reply-sender: sends the owner's replies from the public address, at least once."""

from email_handler import bootstrap
from email_handler.runtime import sqs_handler
from email_handler.usecases.send_reply import send_reply

handler = sqs_handler(
    send_reply, bootstrap.dispatch, dead_letter=bootstrap.dead_letter_unreadable, show_again=bootstrap.show_again
)
