"""`sprat feedback`: corrections by people, and a training file of them."""

from sprat.cli.feedback.giving import app

__all__ = ["app"]
