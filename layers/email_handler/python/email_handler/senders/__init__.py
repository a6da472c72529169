"""Who sent a message: whether that is verified, whether a machine wrote it, LinkedIn members, bounces.
Not here: which conversation a message joins, and whether it is spam.
"""
