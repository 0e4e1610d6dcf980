"""`sprat feedback`."""
