"""`sprat mask`."""
