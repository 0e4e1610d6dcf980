"""Read labelled texts from files."""
