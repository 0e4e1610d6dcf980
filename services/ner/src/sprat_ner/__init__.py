"""The NER service: which persons, organisations and places a text names, and where."""
