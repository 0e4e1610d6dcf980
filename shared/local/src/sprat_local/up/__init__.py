"""`sprat up`: an installation with a live view, until Ctrl-C."""
