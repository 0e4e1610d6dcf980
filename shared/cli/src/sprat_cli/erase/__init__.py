"""`sprat erase`."""
