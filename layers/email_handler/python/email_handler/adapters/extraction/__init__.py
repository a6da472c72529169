"""Port TextExtractor: each document is read in a process of its own, which may die of it.

Not here: which attachments are read, in which order, and how long all of them may take (usecases/attachments.py).
"""
