"""YAML as C reads it: PyYAML's own parser takes seconds for the Compose files, the rules and the chart."""

from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """Return what a text of YAML says."""
    return yaml.load(text, LOADER)
