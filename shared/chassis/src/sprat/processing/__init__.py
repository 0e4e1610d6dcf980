"""From a record to acknowledged results and a committed offset.

Read `handler` (what a service decides), `records` (one record on its way), `outbox` (events, then dead letters), `loop`
(what both loops share), then `batch_loop` with `cached_inference` for a service that answers batches with a model, and
`concurrent_loop` for one whose records are slow and independent.

In both loops nothing is committed before everything that a record caused is acknowledged.
"""
