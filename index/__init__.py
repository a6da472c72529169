"""The search index: what a stack's records and texts say, in one SQLite file on the operator's machine.

Reading the query, preparing texts, the file, and bringing it up to date belong here. Commands, pages and AWS do not."""
