"""What is reachable, what is missing, how to fix it: the checks of `sprat doctor`, without a terminal."""
