"""Tools for whoever runs an installation: topics, dead letters, models."""
