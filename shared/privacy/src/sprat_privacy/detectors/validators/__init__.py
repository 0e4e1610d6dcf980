"""Detectors of values whose form can be checked."""
