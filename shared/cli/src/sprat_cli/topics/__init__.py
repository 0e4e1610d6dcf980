"""`sprat topics`."""
