"""The demo: sample texts through a whole installation."""
