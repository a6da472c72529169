"""One folder for each Lambda function, with a handler of a few lines.

Not here: anything that decides: handlers wire the layer's use cases to AWS.
"""
