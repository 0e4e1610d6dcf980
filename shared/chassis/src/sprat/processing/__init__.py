"""The loops: nothing is committed before everything that a record caused is acknowledged."""
