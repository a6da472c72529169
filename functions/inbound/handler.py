"""inbound: decides about messages to the public addresses, records SES's feedback, and runs the hourly and the daily pass."""

from email_handler import bootstrap
from email_handler.runtime import receiving_handler
from email_handler.usecases.inbound import receive

handler = receiving_handler(
    "inbound", bootstrap.context, receive=receive, hourly=bootstrap.inbound_hourly, daily=bootstrap.inbound_daily
)
