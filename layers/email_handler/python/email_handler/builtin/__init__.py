"""What works without an operator's own configuration."""
