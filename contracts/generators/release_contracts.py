"""Freeze what the contracts of this version promise, once for each release.

`python -m contracts.generators.release_contracts`

It copies the generated schemas and test vectors to `contracts/released/<version>`, and never overwrites a folder:
from then on the compatibility test compares the models with it.
"""

import sys
from pathlib import Path

from contracts.generators.asyncapi import version
from contracts.generators.generate import contracts
from contracts.generators.paths import RELEASED, ROOT


def main(root: Path = ROOT) -> int:
    """Write the folder of this version; return the exit code."""
    folder = root / RELEASED.relative_to(ROOT) / version()
    if folder.exists():
        print(f"{folder.relative_to(root)} is released already: raise the version in contracts/pyproject.toml")
        return 1
    folder.mkdir(parents=True)
    for name, text in contracts().items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"released {folder.relative_to(root)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
