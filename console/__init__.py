"""The console: pages on the operator's own machine over one deployment."""
