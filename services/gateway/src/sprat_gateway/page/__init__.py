"""The page: its store, its queries, its screens."""
