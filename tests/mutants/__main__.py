"""Mutation suite: break one promise at a time, and check that a unit test fails.

`python -m tests.mutants` applies each change of `mutants.toml` to a copy of its package and runs the tests that must
fail. The working tree is never changed. Tests that take five times as long as without the mutant are stopped: that
shows neither that the mutant is killed nor that it survives, so the score leaves it out.
"""

import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.imported import NOT_IMPORTED

ROOT = Path(__file__).parents[2]
LIST = Path(__file__).with_name("mutants.toml")
MIN_SCORE = 0.95
TIMES_AS_LONG = 5
"""So many times as long as without a mutant may tests take."""
_UNMUTATED_S = 600
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

    def judge(self, mutant: Mutant, limit_s: float) -> Verdict:
        """Apply the mutant, run its tests for at most `limit_s`, and restore the copy."""
        mismatch = mutant.mismatch()
        if mismatch is not None:
            return Verdict(mutant.id, "outdated", 0.0, mismatch)
        started = time.monotonic()
        target = self._copy(mutant)
        original = target.read_text("utf-8")
        self._write(target, original.replace(mutant.find, mutant.replace))
        try:
            source = self._folder / mutant.source.relative_to(ROOT)
            code, output = run_tests(mutant.tests, limit_s, mutated=target, source=source)
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


def run_tests(
    tests: Sequence[str], limit_s: float, *, mutated: Path | None = None, source: Path | None = None
) -> tuple[int | None, str]:
    """Run tests with a copy of a package first on the import path; return exit status (None: timeout) and output."""
    environment = dict(os.environ)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", *tests]
    if mutated is not None and source is not None:
        environment |= {"PYTHONPATH": str(source), "SPRAT_MUTATED_FILE": str(mutated)}
        command += ["-p", "tests.mutants.imported"]
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit_s, check=False
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


def tenth(mutants: Sequence[Mutant], commit: str) -> list[Mutant]:
    """Return a tenth of the mutants, in their order, which the hash of a commit chooses: each commit another one."""

    def rank(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{commit} {mutant.id}".encode()).digest()

    chosen = {mutant.id for mutant in sorted(mutants, key=rank)[: math.ceil(len(mutants) / 10)]}
    return [mutant for mutant in mutants if mutant.id in chosen]


def time_unmutated(mutants: Sequence[Mutant], jobs: int) -> dict[tuple[str, ...], float]:
    """Return for the tests of each mutant how many seconds they take without it, `jobs` runs at a time.

    Raises:
        RuntimeError: some fail, or take ten minutes.
    """

    def seconds(tests: tuple[str, ...]) -> float:
        began_s = time.monotonic()
        code, output = run_tests(tests, _UNMUTATED_S)
        if code != 0:
            raise RuntimeError(f"{' '.join(tests)}: the tests fail without a mutant:\n{output}")
        return time.monotonic() - began_s

    sets = list(dict.fromkeys(mutant.tests for mutant in mutants))
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(sets, pool.map(seconds, sets), strict=True))


def judge_all(mutants: Sequence[Mutant], jobs: int, unmutated_s: Mapping[tuple[str, ...], float]) -> list[Verdict]:
    """Judge all mutants, `jobs` at a time, and report each on standard error.

    Args:
        mutants: the mutants.
        jobs: so many at a time.
        unmutated_s: see :func:`time_unmutated`; without an entry for outdated mutants.
    """
    with tempfile.TemporaryDirectory(prefix="sprat-mutants-") as folder, ThreadPoolExecutor(jobs) as pool:
        free: SimpleQueue[Workspace] = SimpleQueue()
        for number in range(jobs):
            free.put(Workspace(Path(folder).resolve() / str(number)))

        def judge(numbered: tuple[int, Mutant]) -> Verdict:
            number, mutant = numbered
            workspace = free.get()
            try:
                verdict = workspace.judge(mutant, TIMES_AS_LONG * unmutated_s.get(mutant.tests, 0.0))
            finally:
                free.put(workspace)
            line = f"[{number}/{len(mutants)}] {verdict.state:9} {verdict.seconds:5.1f} s  {mutant.id}"
            sys.stderr.write(line + "\n")
            return verdict

        return list(pool.map(judge, enumerate(mutants, 1)))


def score(verdicts: Sequence[Verdict]) -> float:
    """Return the share of killed mutants among those that a test must kill; those that timed out are left out."""
    required = [verdict for verdict in verdicts if verdict.state not in {"accepted", "timeout"}]
    return sum(verdict.state == "killed" for verdict in required) / len(required) if required else 1.0


def _report(verdicts: Sequence[Verdict], mutants: Sequence[Mutant]) -> None:
    by_file: dict[str, list[Verdict]] = {}
    for verdict, mutant in zip(verdicts, mutants, strict=True):
        by_file.setdefault(mutant.file, []).append(verdict)
    width = max(len(file) for file in by_file)
    lines = [f"{'file':{width}}  mutants  killed  timed out"]
    for file, group in sorted(by_file.items()):
        states = Counter(verdict.state for verdict in group)
        lines.append(f"{file:{width}}  {len(group):7}  {states['killed']:6}  {states['timeout']:9}")
    lines += [f"{verdict.state}: {verdict.id}: {verdict.detail}" for verdict in verdicts if verdict.state != "killed"]
    states = Counter(verdict.state for verdict in verdicts)
    counts = ", ".join(f"{count} {state}" for state, count in states.most_common())
    lines.append(f"{len(verdicts)} mutants: {counts}; score {score(verdicts):.1%}, {MIN_SCORE:.0%} needed")
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> int:
    """Run the suite; return 1 if the score is too low or a mutant could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ID", help="judge these mutants alone")
    parser.add_argument("--tenth", metavar="COMMIT", help="judge a tenth of the list, which the commit's hash chooses")
    parser.add_argument("--jobs", type=int, default=2, help="mutants judged at a time (default: %(default)s)")
    parser.add_argument(
        "--check", action="store_true", help="run nothing; list the mutants that no longer fit the source"
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    arguments = parser.parse_args()
    mutants = [mutant for mutant in read_list() if arguments.only is None or mutant.id in arguments.only]
    if not mutants or (arguments.only and len(mutants) < len(set(arguments.only))):
        parser.error("no such mutant")
    if arguments.tenth:
        listed, mutants = len(mutants), tenth(mutants, arguments.tenth)
        names = " ".join(mutant.id for mutant in mutants)
        sys.stderr.write(f"{len(mutants)} of {listed} mutants, chosen by the commit {arguments.tenth}: {names}\n")
    outdated = {mutant.id: mismatch for mutant in mutants if (mismatch := mutant.mismatch()) is not None}
    sys.stderr.writelines(f"outdated: {name}: {mismatch}\n" for name, mismatch in outdated.items())
    if arguments.check:
        return 1 if outdated else 0
    try:
        unmutated_s = time_unmutated([mutant for mutant in mutants if mutant.id not in outdated], arguments.jobs)
    except RuntimeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    verdicts = judge_all(mutants, arguments.jobs, unmutated_s)
    if arguments.json:
        sys.stdout.write(json.dumps([asdict(verdict) for verdict in verdicts], indent=1) + "\n")
    else:
        _report(verdicts, mutants)
    broken = any(verdict.state in {"error", "outdated"} for verdict in verdicts)
    return 1 if broken or score(verdicts) < MIN_SCORE else 0


if __name__ == "__main__":
    sys.exit(main())
