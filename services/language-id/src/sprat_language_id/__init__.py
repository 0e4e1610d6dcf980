"""The language service: says which language a text is in."""
