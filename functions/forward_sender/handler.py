"""forward-sender: sends forwards and notices to the owner, at least once."""

from email_handler import bootstrap
from email_handler.conversations.jobs import Job
from email_handler.runtime import sqs_handler
from email_handler.usecases.send_forward import send_forward
from email_handler.usecases.sending import SendResult


def send(job: Job) -> SendResult:
    """Send one job."""
    return send_forward(job, bootstrap.dispatch())


handler = sqs_handler(send, dead_letter=bootstrap.dead_letter_unreadable, show_again=bootstrap.show_again)
