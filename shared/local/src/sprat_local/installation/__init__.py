"""One installation: its options, its servers and services, their start, change and stop."""
