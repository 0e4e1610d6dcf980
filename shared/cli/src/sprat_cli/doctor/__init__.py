"""`sprat doctor`."""
