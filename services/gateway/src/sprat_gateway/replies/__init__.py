"""What comes back over Kafka: Results and dead letters, for those who wait."""
