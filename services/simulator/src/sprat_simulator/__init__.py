"""An OpenAI-compatible server for demos and tests. It knows nothing: it answers from a gold file, or from a seed."""
