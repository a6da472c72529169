"""One file for each thing that happens, in the order that makes its guarantee; its first sentence states that guarantee.

Not here: how mail is read, judged or composed (the pure packages), and how AWS is called (adapters, behind ports).
"""
