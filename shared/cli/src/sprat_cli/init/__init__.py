"""`sprat init`."""
