"""Detectors of personal data: the tagger, the validators, the policy's own terms."""
