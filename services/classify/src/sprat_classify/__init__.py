"""The classification service: answers a task with labels that stands in a file."""
