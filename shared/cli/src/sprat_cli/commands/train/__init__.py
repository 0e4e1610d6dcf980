"""`sprat train`."""
