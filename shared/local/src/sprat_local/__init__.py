"""Sprat on one machine: the embedded Kafka and Redis, process supervision, demo, benchmark."""
