"""`sprat acls`."""
