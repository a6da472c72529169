"""What the product keeps of each conversation, and how a message finds and changes one: pure values and decisions.

Not here: reading or writing messages (mail, outgoing), judging them (senders, spam), and the order of things (usecases).
"""
