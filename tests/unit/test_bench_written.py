"""What the measurement of written wishes counts as kept, and how its figures stand on a page."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sprat.base.model import Answer, Question
from sprat_contracts import Accuracy, IntentOutput
from sprat_inference.artefact import load_artefact
from tests.bench import benchmarks_page, written_tables
from tests.bench.intent_quality import ARTEFACTS
from tests.bench.shapes import Asked
from tests.bench.written_quality import NO_LABEL, figures_of, keep_of, main, save_side


@dataclass(frozen=True, slots=True)
class DoubtedAnswer:
    output: IntentOutput
    confidence: float
    doubt: str | None


class Measured:
    """Thresholds by which an answer's level is its confidence."""

    def accuracy(self, confidence: float, language: str, said: str) -> Accuracy:
        return Accuracy(estimated=confidence, thresholds="x")


class Scripted:
    """A model with the card of the shipped one, which answers as each text says."""

    card = load_artefact(ARTEFACTS / "en-fast").card

    def answer(self, questions: list[Question]) -> list[Any]:
        answers = {
            "sure": Answer(IntentOutput(label="time"), 0.97),
            "unsure": Answer(IntentOutput(label="time"), 0.965),
            "outside": Answer(IntentOutput(label=None), 1.0),
            "doubted": DoubtedAnswer(IntentOutput(label="time"), 1.0, "denied"),
            "not doubted": DoubtedAnswer(IntentOutput(label="time"), 1.0, None),
        }
        return [answers[each.text] for each in questions]


def test_kept_is_what_reaches_the_goal_and_is_not_doubted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.written_quality.find_thresholds", lambda *_, **__: Measured())
    keep = keep_of(Scripted(), ARTEFACTS / "en-fast")  # type: ignore[arg-type]
    texts = [Asked("en", text) for text in ("sure", "unsure", "outside", "doubted", "not doubted")]
    assert keep(texts) == ["time", None, NO_LABEL, None, "time"]


def test_kept_with_a_label_with_the_own_one_and_without_are_counted_apart() -> None:
    texts = [Asked("en", "", "a"), Asked("en", "", "a"), Asked("en", "", "a"), Asked("en", ""), Asked("en", "")]
    counts = figures_of(lambda _: ["a", "b", NO_LABEL, None, "b"], texts)
    assert counts == {"texts": 5, "kept": 3, "own": 1, "none": 1}


def test_the_pages_show_both_sides_and_a_dash_for_the_one_that_is_not_measured() -> None:
    counts = {"texts": 4, "kept": 3, "own": 1, "none": 0}
    groups = {
        "as they are": counts,
        "out of scope, as they are": counts,
        "denied, English": counts,
        "with “and”": counts,
    }
    sides = {"before": {"models": {"default": {"groups": groups | {"3 words or fewer": dict.fromkeys(counts, 0)}}}}}
    # Wilson's interval for 1 of 4, computed by hand: 0.0456 to 0.6994; for 3 of 4 its mirror image.
    written = written_tables.written(sides).splitlines()[2:]
    assert written == [
        "| `default` | denied, English: kept as the wish | 4 | 25.0 (4.6–69.9) | – |",
        "| `default` | whole wishes, with “and”: kept | 4 | 75.0 (30.1–95.4) | – |",
    ]
    both = sides | {"after": sides["before"]}
    page = written_tables.noisy(both)
    assert "| `default` | as they are | 4 | 75.0 (30.1–95.4) | 75.0 (30.1–95.4) | 66.7 (" in page
    assert page.count("| `default` |") == 2
    masked = {"after": {"plain": {"word, de": {"texts": 4, "touched": 1}}, "surnames": {}}}
    assert "| common words, German | 4 | – | 25.0 (4.6–69.9) |" in written_tables.masking(masked)


def test_one_side_is_saved_and_the_other_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks_page, "FIGURES", tmp_path)
    monkeypatch.setattr("tests.bench.written_quality.FIGURES", tmp_path)
    monkeypatch.setattr(benchmarks_page, "PAGES", ())
    (tmp_path / "measured.json").write_text("{}", "utf-8")
    save_side("written", "after", 2)
    save_side("written", "before", 1)
    save_side("written", "after", 3)
    assert benchmarks_page.read("written") == {"before": 1, "after": 3}


def test_figures_for_choosing_are_not_saved(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--data", "x", "--split", "dev", "--save"])
    assert "--save goes with --split test" in capsys.readouterr().err
