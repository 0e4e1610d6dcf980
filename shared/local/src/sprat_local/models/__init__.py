"""The models that an installation serves by the user's choice."""
