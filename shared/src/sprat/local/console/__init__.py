"""What a person sees of a running installation, from its start until Ctrl-C."""
