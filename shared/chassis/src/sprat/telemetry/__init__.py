"""Logs and traces; neither ever holds a text or a secret."""
