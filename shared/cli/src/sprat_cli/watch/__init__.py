"""`sprat watch`."""
