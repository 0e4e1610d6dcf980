"""The demo: sample texts through a whole installation, and a report of what came out."""
