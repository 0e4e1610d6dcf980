"""What every part of a service builds on: errors, settings, keys, retries, the protocol of a model."""
