"""Finders of what has a form that can be checked, one form a file."""

from sprat.perimeter.validators.suite import Validators

__all__ = ["Validators"]
