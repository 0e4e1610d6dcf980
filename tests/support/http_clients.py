"""The HTTP clients of others, in an environment of their own: made once, in the user's cache."""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

LOCK = Path(__file__).parents[2] / "requirements" / "clients.lock"


def clients_python() -> Path:
    """Return the Python that has the clients of the lock; the first time, they are installed."""
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    folder = user_cache_path("sprat") / "http-clients" / digest[:12]
    python, complete = folder / "bin" / "python", folder / "complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
            subprocess.run([*pip, "--require-hashes", "--requirement", LOCK], check=True, timeout=800)
            complete.touch()
    return python
