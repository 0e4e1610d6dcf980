"""Kafka: consuming, publishing and committing.

Read `clients` (consumers and their options), `publisher` (acknowledged records), `offsets` (what may be committed),
`rebalance` (partitions come and go), `consumer` (FastStream's part of a loop), `cluster` and `lag` (what is there and
what waits). `bounded_records`, `fetch_pace`, `fetch_sessions`, `group_coordinator`, `requests` and `compat` hold all
that relies on private parts of aiokafka or FastStream; `connection_errors` explains refused connections.
"""
