"""The rules and templates in force until the operator pushes their own; data only.

Not here: code. config/ holds the editable copies.
"""
