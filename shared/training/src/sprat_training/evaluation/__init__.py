"""Measure models and routing on texts whose answers are known."""
