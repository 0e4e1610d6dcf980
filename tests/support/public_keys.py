"""Public keys of an auditor."""

import tempfile
from pathlib import Path

from sprat.audit.keys import PublicKeys, SigningKey


def public_keys(*keys: SigningKey) -> PublicKeys:
    """Return the public halves, read from files as an auditor has them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{key.id}.pem" for key in keys]
        for path, key in zip(paths, keys, strict=True):
            path.write_bytes(key.public_pem)
        return PublicKeys.read(paths)
