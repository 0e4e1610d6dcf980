"""A chapter of the documentation as a person follows it: its commands in their order, run as they are written."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.readme import section
from support.terminal import Terminal

COMMAND = "sprat "
_MOST_S = 150
_PIECE = re.compile(r"^```\w*\n(?P<block>.*?)^```$|`(?P<code>[^`]+)`", re.DOTALL | re.MULTILINE)
_PLACEHOLDER = re.compile(r"[A-Z]{2,}")


@dataclass(frozen=True)
class Shown:
    """A command of a chapter, and the output that the chapter shows."""

    command: str
    output: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """The output of a command and its exit code."""

    out: str
    err: str
    code: int


@dataclass(frozen=True)
class Chapter:
    """The commands, in order, the blocks that hold no command, and the text."""

    text: str
    shown: tuple[Shown, ...]
    blocks: tuple[str, ...]

    @property
    def options(self) -> set[str]:
        """The options that it mentions without a command."""
        return {word for code in _inline(self.text) for word in code.split() if word.startswith("--")}


def chapter(page: Path, title: str) -> Chapter:
    """Read a chapter: what stands below a heading of a page.

    Inline code that begins with `sprat ` is a command, too, unless another command begins with it: then the chapter
    only mentions that one.
    """
    text = section(page, title)
    shown: list[Shown] = []
    blocks: list[str] = []
    for piece in _PIECE.finditer(text):
        block, code = piece["block"], " ".join((piece["code"] or "").split())
        if block is None:
            shown += [Shown(code)] if code.startswith(COMMAND) else []
        elif block.startswith("$ "):
            shown += _console(block)
        else:
            blocks.append(block)
    commands = [each.command for each in shown]
    meant = [each for each in shown if not any(other.startswith(f"{each.command} ") for other in commands)]
    return Chapter(text, tuple(meant), tuple(blocks))


def _console(block: str) -> Iterator[Shown]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *output = part.rstrip("\n").split("\n")
        yield Shown(shlex.join(shlex.split(command, comments=True)) if "#" in command else command, tuple(output))


def _inline(text: str) -> Iterator[str]:
    for piece in _PIECE.finditer(text):
        if piece["block"] is None and not piece["code"].startswith(COMMAND):
            yield piece["code"]


def shape(line: str) -> str:
    """Return a line of output without what differs between two runs: ids and numbers."""
    return re.sub(r"\d[\d,.]*", "0", re.sub(r"\b[0-9a-f]{16,}\b", "id", line)).rstrip()


class Person:
    """Follows a chapter in a folder, command by command; what the chapter has, and in its order, and nothing else."""

    def __init__(self, followed: Chapter, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._left = list(followed.shown)

    @property
    def left(self) -> list[str]:
        """The commands that were not followed yet."""
        return [each.command for each in self._left]

    def take(self, command: str) -> Shown:
        """Take the next command of the chapter, which must be this one."""
        assert self.left[:1] == [command], f"the chapter goes on with {self.left[:1]}, the test with {command}"
        return self._left.pop(0)

    def follow(self, command: str, more: str = "", *, code: int = 0, answer: str = "", **placeholders: str) -> Said:
        """Run the next command; `more` stands behind it, `answer` is typed where it asks.

        What the chapter shows of its output must be what it says, but for ids and numbers.
        """
        shown = self.take(command)
        said = self.run(f"{_filled(command, placeholders)} {more}".strip(), code=code, answer=answer)
        if shown.output:
            assert list(map(shape, said.out.splitlines())) == list(map(shape, shown.output)), said.out
        return said

    def run(self, line: str, *, code: int = 0, answer: str = "") -> Said:
        """Run a command line in a shell, as a person at a terminal if an answer is to be typed."""
        command = ["bash", "-c", line]
        if answer:
            said = self._answered(command, answer)
        else:
            ran = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_MOST_S,
                check=False,
                text=True,
            )
            said = Said(ran.stdout, ran.stderr, ran.returncode)
        assert said.code == code, f"$ {line}\n{said.out}{said.err}"
        return said

    def start(self, line: str) -> subprocess.Popen[str]:
        """Start a command that goes on until Ctrl-C."""
        return subprocess.Popen(
            shlex.split(line),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _answered(self, command: list[str], answer: str) -> Said:
        with Terminal() as terminal:
            terminal.type(f"{answer}\n")
            ran = subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=terminal.theirs,
                capture_output=True,
                timeout=_MOST_S,
                check=False,
                text=True,
            )
        return Said(ran.stdout, ran.stderr, ran.returncode)


def _filled(command: str, placeholders: Mapping[str, str]) -> str:
    """Replace the placeholders of the documentation, as in `sprat trace ID`, by words."""
    found = [word for word in command.split() if _PLACEHOLDER.fullmatch(word)]
    assert set(found) == set(placeholders), f"{command}: placeholders {found}, words for {sorted(placeholders)}"
    return " ".join(placeholders.get(word, word) for word in command.split(" "))


def environment(**more: str) -> dict[str, str]:
    """Return what a person's shell has once Sprat is installed: no setting, and `sprat` on the path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return clean | {"PATH": path, "PYTHONUNBUFFERED": "1"} | more
