"""`sprat lag`."""
