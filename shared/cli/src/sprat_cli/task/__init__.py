"""`sprat task`: write a task file, and check those that there are."""
