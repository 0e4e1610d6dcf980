"""What the tools for the person on call work out: pure where it can be, and nothing of a terminal."""
