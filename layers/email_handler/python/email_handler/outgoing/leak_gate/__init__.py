"""Here: finding what the owner keeps private in a message that leaves, replacing it, and holding what cannot be cleaned.
Not here: composing the message, or reading its formats (``mail.documents``)."""
