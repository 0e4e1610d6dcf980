"""An OpenAI-compatible server for demos and tests. It answers from a gold file, without a model."""
