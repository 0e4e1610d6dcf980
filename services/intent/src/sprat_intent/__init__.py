"""The intent service: what the writer of a text wants."""
