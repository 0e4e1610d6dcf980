"""Libraries of Node.js for tests: at the versions and hashes of a lock file, once, in the user's cache."""

import hashlib
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path


def node_modules(package: Path) -> Path:
    """Return the folder of the libraries that a lock file names; the first time may take minutes on busy cores."""
    files = [package / "package.json", package / "package-lock.json"]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = user_cache_path("sprat") / "npm" / digest[:12]
    complete = folder / "complete"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not complete.exists():
            for file in files:
                shutil.copy(file, folder)
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=800)
            complete.touch()
    return folder / "node_modules"
