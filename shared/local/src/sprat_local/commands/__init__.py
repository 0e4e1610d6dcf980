"""The commands that run an installation on this machine."""
