"""The service of language identification."""
