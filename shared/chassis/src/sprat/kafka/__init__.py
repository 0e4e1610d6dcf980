"""Kafka clients: consuming, publishing, offsets, rebalances, and what works around aiokafka."""
