"""`sprat assess`."""
