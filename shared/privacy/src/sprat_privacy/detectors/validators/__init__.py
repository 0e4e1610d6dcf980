"""Detectors of values whose form can be checked, by family. `suite.Validators` runs them all."""
