"""`sprat models`."""
