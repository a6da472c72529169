"""The spam filter: the rules, the text they search, the signals, and the three stages that decide.
Not here: what is then done with a message, and where rules are stored.
"""
