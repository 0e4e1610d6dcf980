"""An OpenAI-compatible server for demos and tests. It answers from a gold file or a seed, without a model."""
