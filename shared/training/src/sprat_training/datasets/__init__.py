"""Labelled texts from files: `reader` reads a file, by way of `tables`, `columns` and `rows`."""
