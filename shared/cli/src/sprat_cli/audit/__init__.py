"""`sprat audit`."""
