"""Here: composing each message that leaves, what the owner reads of ours, and the leak gate that checks it.
Not here: whether and to whom a message is sent (``usecases``), and how bytes and headers are written (``mail``)."""
