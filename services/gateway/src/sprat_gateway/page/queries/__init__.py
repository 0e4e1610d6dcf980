"""What the screens show: one module a screen, each with its dataclasses and the query that fills them.

A query is a function `(connection, …) -> dataclass` that reads alone: `PageStore.read(query, …)` runs it in a thread,
for 200 ms at most. Every query of texts takes a `Viewer`, and returns only what is of its tenant and source.
"""
