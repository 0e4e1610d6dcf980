"""The functions behind the command line: topics, lag, replays, traces, egress, feedback. Nothing is printed here."""
