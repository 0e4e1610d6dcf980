"""`sprat trace`."""
