"""The one shared layer of all six functions, a package for each concept of the product.

Not here: handlers (functions/), the local cloud (cloud/), the operator's command (cli/).
"""
