"""Records and ledger on one DynamoDB table with eight sparse indexes (ADR 0005); ``keys`` lists what it holds.

Not here: what a record means (conversations), or when one is written (usecases).
"""
