"""Reports for people: one HTML file that needs nothing else, with pictures drawn in it. No script, no address."""

from sprat.reporting.page import Page, escaped
from sprat.reporting.plot import Plot, Scale

__all__ = ["Page", "Plot", "Scale", "escaped"]
