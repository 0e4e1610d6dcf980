"""`sprat policy`."""
