"""The translation service: a text in another language."""
