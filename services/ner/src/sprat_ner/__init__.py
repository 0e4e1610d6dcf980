"""The NER service: finds names of persons, organisations and places, and entities with a checkable form."""
