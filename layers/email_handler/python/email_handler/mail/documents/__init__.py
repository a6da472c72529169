"""Text and bytes inside attached documents, one module for each format.
What is searched for in them, and what follows from a match, does not belong here."""
