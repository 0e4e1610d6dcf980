"""The models that an installation serves by a person's choice: named, tried, taken over, missing."""
