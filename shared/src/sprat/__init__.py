"""The chassis of Sprat: delivery, cache, model runtime, policy, health, settings, telemetry, the command line."""
