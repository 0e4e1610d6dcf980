"""The loops and their delivery discipline: nothing is committed before everything it caused is acknowledged."""
