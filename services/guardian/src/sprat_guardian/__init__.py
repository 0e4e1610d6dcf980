"""The guardian service: closes reviews, and raises an alarm where more of what is kept is wrong than a goal allows."""
