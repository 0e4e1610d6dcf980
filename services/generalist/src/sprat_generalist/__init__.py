"""The generalist service: a language model of your own behind the APIs that tiers speak."""
