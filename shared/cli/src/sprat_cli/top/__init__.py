"""`sprat top`."""
