"""`sprat clean`."""
