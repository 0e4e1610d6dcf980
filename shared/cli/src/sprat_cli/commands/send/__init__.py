"""`sprat send`."""
