"""Kafka: consuming, publishing and committing.

Read `clients` (consumers and their options), `publisher` (acknowledged records), `offsets` and `trailing_offsets` (what
may be committed), `rebalance` (partitions come and go), `consumer` (FastStream's part of a loop). `compat` holds all
that relies on private parts of aiokafka or FastStream, `connection_errors` explains refused connections.
"""
