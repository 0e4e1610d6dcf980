"""The command line, `sprat`."""
