"""Converters from published weights to artefacts."""
