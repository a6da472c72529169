"""RFC 5322 messages and MIME: reading, writing, addresses, text.
Nothing of this product belongs here: no conversations, no rules, no AWS."""
