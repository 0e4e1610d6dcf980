"""What the screens show: one module a screen, each with its dataclasses and the query that fills them.

A query is a function `(connection, …) -> dataclass` that reads alone: `PageStore.read(query, …)` runs it in a thread,
for 200 ms at most. Every query of texts takes a `Viewer`, and returns only what is of its tenant and source.
"""

from sprat_gateway.page.queries.health import Health, health
from sprat_gateway.page.queries.live import LiveFilter, LiveRows, live
from sprat_gateway.page.queries.models import Models, models
from sprat_gateway.page.queries.one_text import OneText
from sprat_gateway.page.queries.overview import Overview, Span, overview
from sprat_gateway.page.queries.privacy import Privacy, privacy
from sprat_gateway.page.queries.text_path import one_text
from sprat_gateway.page.queries.to_label import Queue, ToLabel, to_label
from sprat_gateway.page.queries.viewer import HiddenText, Viewer
from sprat_gateway.page.queries.what_if import WantedGoal, WhatIf, what_if

__all__ = [
    "Health",
    "HiddenText",
    "LiveFilter",
    "LiveRows",
    "Models",
    "OneText",
    "Overview",
    "Privacy",
    "Queue",
    "Span",
    "ToLabel",
    "Viewer",
    "WantedGoal",
    "WhatIf",
    "health",
    "live",
    "models",
    "one_text",
    "overview",
    "privacy",
    "to_label",
    "what_if",
]
