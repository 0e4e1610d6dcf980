"""The shapes of requests and responses: Sprat's own and those of others."""
