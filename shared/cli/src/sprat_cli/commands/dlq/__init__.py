"""`sprat dlq`."""
