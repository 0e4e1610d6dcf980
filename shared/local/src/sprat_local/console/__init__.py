"""What the user sees of a running installation."""
