"""Build a wheel of each member: `python requirements/wheels.py TARGET FOLDER…`.

The result is that of `pip wheel --no-deps --no-build-isolation`. pip starts three programs for each member, which takes
longer than most builds themselves; here setuptools is imported once, and members are built side by side.
"""

import contextlib
import io
import multiprocessing
import os
import sys
from pathlib import Path

from setuptools import build_meta


def build(folder: Path, target: Path) -> None:
    """Build one member, in a process of its own: setuptools keeps state.

    Raises:
        RuntimeError: setuptools refuses its project file; with what it said.
    """
    os.chdir(folder)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            build_meta.build_wheel(str(target))
        except SystemExit as refusal:  # would end the process of the pool, which then waits for ever
            raise RuntimeError(f"{folder}: {refusal}\n{said.getvalue()}") from None


def main(target: str, *folders: str) -> None:
    """Build all of them, as many at a time as there are cores."""
    jobs = [(Path(folder).absolute(), Path(target).absolute()) for folder in folders]
    with multiprocessing.get_context("fork").Pool(maxtasksperchild=1) as pool:
        pool.starmap(build, jobs, chunksize=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
