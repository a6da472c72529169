"""forward-sender: sends forwards and notices to the owner, at least once."""

from email_handler import bootstrap
from email_handler.runtime import sqs_handler
from email_handler.usecases.send_forward import send_forward

handler = sqs_handler(
    send_forward, bootstrap.dispatch, dead_letter=bootstrap.dead_letter_unreadable, show_again=bootstrap.show_again
)
