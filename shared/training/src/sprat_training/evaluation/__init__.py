"""Measure models, and the routing between a small model and a frontier model, on texts whose labels are known."""
