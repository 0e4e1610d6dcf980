"""The embedded Kafka and Redis under supervision."""
