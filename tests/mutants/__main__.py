"""Mutation suite: break one promise at a time, and check that a unit test fails.

`python -m tests.mutants` applies each change of `mutants.toml` to a copy of its package and runs the tests that must
fail. The working tree is never changed. `--check` only lists the mutants that no longer fit the source.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.imported import NOT_IMPORTED

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutants.toml")
MIN_SCORE = 0.95
TIMEOUT_S = 60
_LARGE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change that breaks one promise."""

    id: str
    file: str
    find: str
    replace: str
    why: str
    tests: tuple[str, ...]
    survives: str | None = None
    """The reason why no test can fail; None where one must."""

    @property
    def source(self) -> Path:
        """The folder that holds the package, `…/src`."""
        return ROOT.joinpath(*self._parts[: self._parts.index("src") + 1])

    @property
    def module(self) -> Path:
        """The path of the file, relative to `source`."""
        return Path(*self._parts[self._parts.index("src") + 1 :])

    def mismatch(self) -> str | None:
        """Return why the mutant does not fit the source tree any longer; None where it does."""
        path = ROOT / self.file
        if not path.is_file():
            return f"no file {self.file}"
        occurrences = path.read_text("utf-8").count(self.find)
        if occurrences != 1:
            return f"`find` occurs {occurrences} times in {self.file}"
        missing = [test for test in self.tests if not (ROOT / test.partition("::")[0]).is_file()]
        return f"no test file {', '.join(missing)}" if missing else None

    @property
    def _parts(self) -> tuple[str, ...]:
        return Path(self.file).parts


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a mutant: killed, timeout, survived, accepted, outdated, or error.

    An outdated mutant does not fit the source any longer; it was not run.
    """

    id: str
    state: str
    seconds: float
    detail: str = ""


class Workspace:
    """Copies of packages that one worker mutates, one file at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written = 0

    def judge(self, mutant: Mutant) -> Verdict:
        """Apply the mutant, run its tests, and restore the copy."""
        mismatch = mutant.mismatch()
        if mismatch is not None:
            return Verdict(mutant.id, "outdated", 0.0, mismatch)
        started = time.monotonic()
        target = self._copy(mutant)
        original = target.read_text("utf-8")
        self._write(target, original.replace(mutant.find, mutant.replace))
        try:
            code, output = run_tests(mutant.tests, target, self._folder / mutant.source.relative_to(ROOT))
        finally:
            self._write(target, original)
        return Verdict(mutant.id, *_verdict(mutant, code, output, time.monotonic() - started))

    def _copy(self, mutant: Mutant) -> Path:
        package = mutant.module.parts[0]
        copy = self._folder / mutant.source.relative_to(ROOT)
        if not (copy / package).exists():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(mutant.source / package, copy / package, ignore=ignored, copy_function=_copy_file)
        return copy / mutant.module

    def _write(self, path: Path, text: str) -> None:
        """Write a module with a new time stamp: compiled files are matched by whole seconds and size."""
        path.write_text(text, "utf-8")
        self._written += 1
        moment = time.time() + 10 * self._written
        os.utime(path, (moment, moment))


def run_tests(tests: Sequence[str], mutated: Path | None = None, source: Path | None = None) -> tuple[int | None, str]:
    """Run tests with a copy of a package first on the import path; return exit status (None: timeout) and output."""
    environment = dict(os.environ)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
    if mutated is not None and source is not None:
        environment |= {"PYTHONPATH": str(source), "SPRAT_MUTATED_FILE": str(mutated)}
        command += ["-p", "tests.mutants.imported"]
    timeout_s = TIMEOUT_S if mutated is not None else 10 * TIMEOUT_S
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


def _verdict(mutant: Mutant, code: int | None, output: str, seconds: float) -> tuple[str, float, str]:
    seconds = round(seconds, 1)
    if code is None:
        return "timeout", seconds, ""
    if code in {1, 2}:  # 2: a mutant that breaks the import stops the collection
        failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return "killed", seconds, failed[0] if failed else ""
    if code == 0:
        return ("survived", seconds, mutant.why) if mutant.survives is None else ("accepted", seconds, mutant.survives)
    if code == NOT_IMPORTED:
        return "error", seconds, "the tests did not import the mutated file"
    return "error", seconds, f"pytest ended with {code}: {output[-500:]}"


def _copy_file(source: str, target: str) -> None:
    """Copy code and small data; weights are linked."""
    if Path(source).stat().st_size > _LARGE_BYTES:
        Path(target).symlink_to(source)
    else:
        shutil.copy2(source, target)


def read_list(path: Path = LIST) -> list[Mutant]:
    """Read the list of mutants.

    Raises:
        ValueError: two have one id.
    """
    entries = tomllib.loads(path.read_text("utf-8"))["mutant"]
    mutants = [Mutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    if len({mutant.id for mutant in mutants}) < len(mutants):
        raise ValueError("two mutants have one id")
    return mutants


def judge_all(mutants: Sequence[Mutant], jobs: int) -> list[Verdict]:
    """Judge all mutants, `jobs` at a time, and report each on standard error."""
    with tempfile.TemporaryDirectory(prefix="sprat-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        free: SimpleQueue[Workspace] = SimpleQueue()
        for number in range(jobs):
            free.put(Workspace(Path(folder).resolve() / str(number)))

        def judge(numbered: tuple[int, Mutant]) -> Verdict:
            number, mutant = numbered
            workspace = free.get()
            try:
                verdict = workspace.judge(mutant)
            finally:
                free.put(workspace)
            line = f"[{number}/{len(mutants)}] {verdict.state:9} {verdict.seconds:5.1f} s  {mutant.id}"
            sys.stderr.write(line + "\n")
            return verdict

        return list(pool.map(judge, enumerate(mutants, 1)))


def score(verdicts: Sequence[Verdict]) -> float:
    """Return the share of killed mutants among those that a test must kill."""
    required = [verdict for verdict in verdicts if verdict.state != "accepted"]
    return sum(verdict.state in {"killed", "timeout"} for verdict in required) / len(required) if required else 1.0


def _report(verdicts: Sequence[Verdict], mutants: Sequence[Mutant]) -> None:
    by_file: dict[str, list[Verdict]] = {}
    for verdict, mutant in zip(verdicts, mutants, strict=True):
        by_file.setdefault(mutant.file, []).append(verdict)
    width = max(len(file) for file in by_file)
    lines = [f"{'file':{width}}  mutants  killed"]
    for file, group in sorted(by_file.items()):
        killed = sum(verdict.state in {"killed", "timeout"} for verdict in group)
        lines.append(f"{file:{width}}  {len(group):7}  {killed:6}")
    lines += [f"{verdict.state}: {verdict.id}: {verdict.detail}" for verdict in verdicts if verdict.state != "killed"]
    lines.append(f"score {score(verdicts):.1%} of {len(verdicts)} mutants, {MIN_SCORE:.0%} needed")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> int:
    """Run the suite; return 1 if the score is too low or a mutant could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ID", help="judge these mutants alone")
    parser.add_argument("--jobs", type=int, default=2, help="mutants judged at a time (default: %(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="run nothing; list the mutants that no longer fit the source"
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in read_list() if arguments.only is None or mutant.id in arguments.only]
    if not mutants or (arguments.only and len(mutants) < len(set(arguments.only))):
        parser.error("no such mutant")
    outdated = {mutant.id: mismatch for mutant in mutants if (mismatch := mutant.mismatch()) is not None}
    sys.stderr.writelines(f"outdated: {name}: {mismatch}\n" for name, mismatch in outdated.items())
    if arguments.check:
        return 1 if outdated else 0
    code, output = run_tests(sorted({test for mutant in mutants if mutant.id not in outdated for test in mutant.tests}))
    if code != 0:
        sys.stderr.write(f"the tests fail without a mutant:\n{output}\n")
        return 1
    verdicts = judge_all(mutants, arguments.jobs)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    else:
        _report(verdicts, mutants)
    broken = any(verdict.state in {"error", "outdated"} for verdict in verdicts)
    return 1 if broken or score(verdicts) < MIN_SCORE else 0


if __name__ == "__main__":
    sys.exit(main())
