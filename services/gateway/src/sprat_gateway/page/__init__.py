"""The page: its store, what is read into it, and what the screens show."""
