"""What happened to messages we sent: bounces, delays and complaints, read from SES's events and from messages.
Not here: what the service does about them."""
