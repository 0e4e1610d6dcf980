"""`sprat promote`."""
