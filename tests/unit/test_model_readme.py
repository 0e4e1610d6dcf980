"""What the README of a model states: licence and languages, read in no time whatever else it holds."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sprat_inference.converters.hub import find_source
from sprat_inference.converters.readme import read_readme

LONGEST_S = 2.0
"""Of processor time: far above what this reader needs, below what one of general YAML needs for most attacks."""


@pytest.fixture(autouse=True)
def _is_quick() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"reading a README took more than {LONGEST_S} s of processor time")

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST_S)
    yield
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


def write(folder: Path, text: str) -> Path:
    (folder / "README.md").write_text(text, "utf-8", newline="")
    return folder / "README.md"


@pytest.mark.parametrize(
    ("front", "licence", "languages"),
    [
        ("license: apache-2.0\nlanguage: en", "apache-2.0", ("en",)),
        ("language:\n- en\n- de\nlicense: mit", "mit", ("en", "de")),
        ("language:\n  - 'en'\n  - \"pt\" # and Brazil\ntags:\n  - fr", None, ("en", "pt")),
        ("license: [mit, 'apache-2.0']\nlanguage: [en,\n  de,\n]\ntags: [fr]", "mit AND apache-2.0", ("en", "de")),
        ("language: no\nlicense: gpl-3.0 # as the data", "gpl-3.0", ("no",)),
        ("model-index:\n- name: x\n  license: mit\n  language: en\n", None, ()),
        ("language:\n- multilingual\n- en\n- en-US", None, ("en",)),
        ("license:\nlanguage: []", None, ()),
        ("license: MIT OR Apache-2.0", "MIT OR Apache-2.0", ()),
        ("license: \x1b[2Jmit", None, ()),
        ("license: {a: b}\nlanguage: &x en", None, ()),
    ],
)
def test_the_front_matter_is_read(tmp_path: Path, front: str, licence: str | None, languages: tuple[str, ...]) -> None:
    for text in (f"---\n{front}\n---\n# Model\nlicense: other\n", f"---\n{front}\n---", f"--- \n{front}\n---  \n"):
        stated = read_readme(write(tmp_path, text))
        assert (stated.licence, stated.languages) == (licence, languages)
        assert read_readme(write(tmp_path, text.replace("\n", "\r\n"))) == stated


@pytest.mark.parametrize(
    "text", ["", "---", "# Model\n---\nlicense: mit\n---\n", "---\nlicense: mit\n", "\n---\n---\n"]
)
def test_a_readme_without_front_matter_states_nothing(tmp_path: Path, text: str) -> None:
    assert read_readme(write(tmp_path, text)).licence is None


def test_a_folder_without_a_readme_and_bytes_that_are_no_text_state_nothing(tmp_path: Path) -> None:
    assert read_readme(tmp_path / "README.md").licence is None
    (tmp_path / "README.md").write_bytes(b"---\nlicense: m\xffit\n---\n")
    assert read_readme(tmp_path / "README.md").licence is None


ALIASES = "\n".join(["l0: &l0 [mit]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 20)}]" for n in range(1, 8))])
ATTACKS = {
    "aliases": f"---\n{ALIASES}\nlicense: *l7\n---\n",
    "merged keys": "---\n" + "\n".join(f"<<: {{a{n}: 1}}" for n in range(300_000)) + "\n---\n",
    "nesting": "---\nlicense: " + "[" * 300_000 + "\n---\n",
    "indentation": "---\n" + "".join(f"{' ' * n}a:\n" for n in range(3_000)) + "\n---\n",
    "empty lines": "---\n" + "\n" * 300_000,
    "no end": "---\n" + "\n--- x" * 300_000,
    "spaces": "---\n" + ("\n---" + " " * 5_000 + "x") * 200,
    "a long list": "---\nlicense:\n" + "- mit\n" * 1_000_000 + "---\n",
    "a list without an end": "---\nlanguage: [" + "en, " * 1_000_000 + "\n---\n",
    "quotes": "---\nlicense: " + '"' * 1_000_000 + "\n---\n",
    "a number": "---\nlicense: 0x" + "f" * 1_000_000 + "\n---\n",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_readme_makes_reading_slow(tmp_path: Path, attack: str) -> None:
    write(tmp_path, attack)
    source = find_source(str(tmp_path))
    assert len(source.licence or "") < 100
    assert source.languages in {(), ("en",)}
