"""ack-sender: sends the acknowledgement that inbound asked for, at most once per contact."""

from email_handler import bootstrap
from email_handler.runtime import sqs_handler
from email_handler.usecases.send_acknowledgement import send_acknowledgement

handler = sqs_handler(
    send_acknowledgement,
    bootstrap.dispatch,
    dead_letter=bootstrap.dead_letter_unreadable,
    show_again=bootstrap.show_again,
)
