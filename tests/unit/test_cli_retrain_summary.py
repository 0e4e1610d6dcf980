"""What `sprat retrain` says of a new version and of what its corrections bring."""

import re
from collections import Counter
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from sprat.errors import SpratError
from sprat_cli.compared_at import ComparedAt
from sprat_cli.comparison import comparison_json, comparison_sentence, difference
from sprat_cli.retrain.command import check_replaces
from sprat_cli.retrain.compared import NewVersion, check_is_new
from sprat_cli.retrain.corrections import Added, AskedModel
from sprat_cli.retrain.summary import Retrained, advise, summary_lines
from sprat_cli.retrain.trained import Trained
from sprat_cli.which_keep_at import KeepAtAdvice
from sprat_inference.card import Score
from sprat_policy import KeepAtSource, NotedKeepAt
from sprat_training.config import TrainingConfig
from sprat_training.evaluation.comparison import VersionAnswers, answers_of, compare
from sprat_training.evaluation.metrics import Interval, ModelReadings
from sprat_training.figures import KeptAnswers
from sprat_training.held_out import ComparedTrainings
from sprat_training.keep_at import PROVISIONAL
from sprat_training.label_set_fit import SetFigures
from sprat_training.record import FILE as RECORD
from sprat_training.verdict import Verdict
from support.stream import card

NUMBER = NotedKeepAt("0.95", KeepAtSource("1f", but="that of its card"))

MODEL = AskedModel("intent", "fm")
WITH_THEM = f"With the corrections {MODEL}"
AT = ComparedAt(0.89, "in_force", "the one in force (tasks.intent.models.fm.keep_at in policy.yaml)")
NEW = card().model_copy(update={"keep_at": 0.95})
FAIR = Verdict("fair", "It can be served.", None, (), keep_at_holds=True)
CURVE = tuple(KeptAnswers(step / 100, 1 - step / 200, Interval(0.9, 0.8, 0.95), 100) for step in range(101))


def version(right, kept, texts=67):
    """Return a version that gets the first `right` texts right and keeps the first `kept`."""
    rights, keeps = np.arange(texts) < right, np.arange(texts) < kept
    return VersionAnswers(rights, keeps, rights & keeps, np.zeros(texts, bool))


def trained(verdict=FAIR, new=NEW) -> Trained:
    """Return a version that was trained on 300 texts."""
    figures = SimpleNamespace(at=lambda keep_at: CURVE[round(100 * keep_at)], outside_share=0.1)
    return Trained(new, figures, 300, 0, dropped_labels={}, findings=(), doubted=(), verdict=verdict)


def advised(verdict, comparison, keep_at=None, at=AT, new=NEW, once_served=None):
    """Return the advice on trainings that compare so; `once_served`: with the new one at its own keep_at."""
    compared = ComparedTrainings(comparison, 0, 5, once_served=once_served)
    return advise(NewVersion(trained(verdict, new), compared, at), keep_at)


def test_a_version_that_is_as_often_right_but_keeps_clearly_less_is_called_worse():
    said = comparison_sentence(WITH_THEM, compare(version(56, 24), version(54, 14)), str(AT))
    assert said.startswith(
        "With the corrections intent/fm is worse on 67 texts: right: no difference shown (-3.0 points ("
    )
    assert "clearly less is kept at keep_at 0.89: -14." in said
    assert "kept and right, +14.9 points (" in said


def test_no_difference_is_said_of_each_share_of_its_own():
    said = comparison_sentence(WITH_THEM, compare(version(56, 24), version(55, 24)), str(AT))
    assert said.startswith("On 67 texts, right: no difference shown (-1.5 points (")
    assert "; kept and right at keep_at 0.89: no difference shown (+0.0 points (-5.5 to +5.5))." in said


def test_the_ends_of_a_difference_are_rounded_outwards():
    alike = compare(version(9_000, 9_000, 10_000), version(9_000, 9_000, 10_000))
    assert difference(alike.right) == "+0.0 points (-0.1 to +0.1)", "0.04 points"


@pytest.mark.parametrize(
    ("ends", "shown", "in_json"),
    [
        ((0.007, 0.0004, 0.0136), "+0.70 points (+0.04 to +1.36)", [0.007, 0.0004, 0.0136]),
        ((-0.007, -0.0136, -0.0004), "-0.70 points (-1.36 to -0.04)", [-0.007, -0.0136, -0.0004]),
        ((0.007, 0.00004, 0.0136), "+0.700 points (+0.004 to +1.360)", [0.007, 0.00004, 0.0136]),
        ((-0.007, -0.0136, -0.000004), "-0.700 points (-1.360 to -0.001)", [-0.007, -0.0136, -0.000004]),
        ((0.007, 3e-9, 0.0136), "+0.700 points (+0.001 to +1.360)", [0.007, 0.000001, 0.0136]),
        ((0.007, 0.0, 0.0136), "+0.7 points (+0.0 to +1.4)", [0.007, 0, 0.0136]),
        ((0.0004, -0.0136, 0.00004), "+0.0 points (-1.4 to +0.1)", [0.0004, -0.0136, 0.00004]),
        ((0.0071, 0.0012, 0.0136), "+0.7 points (+0.1 to +1.4)", [0.0071, 0.0012, 0.0136]),
    ],
)
def test_an_end_that_leaves_out_0_is_never_shown_as_0(ends, shown, in_json):
    measured = replace(compare(version(56, 24), version(56, 24)).right, difference=Interval(*ends))
    comparison = replace(compare(version(56, 24), version(56, 24)), right=measured)
    assert difference(measured) == shown
    assert comparison_json(comparison)["right"]["difference"] == in_json
    said = comparison_sentence(WITH_THEM, comparison, str(AT))
    assert (shown in said, "no difference shown (" + shown in said) == (True, ends[1] <= 0 <= ends[2])


def test_what_is_called_better_or_worse_is_so_by_the_ends_that_are_shown():
    """Texts of which a few differ: some intervals end within a twentieth of a point of 0."""
    for texts, gained in product((2, 3, 4, 60, 61, 400), (2, 4, 5, 6)):
        lost = min(gained, texts)
        found = compare(version(texts - lost, texts, texts), version(texts, texts, texts))
        low, high = map(float, re.findall(r"[+-][\d.]+(?= to|\))", difference(found.right)))
        assert (found.better == "new") == (low > 0), (texts, gained)
        backwards = compare(version(texts, texts, texts), version(texts - lost, texts, texts))
        low, high = map(float, re.findall(r"[+-][\d.]+(?= to|\))", difference(backwards.right)))
        assert (backwards.better == "served") == (high < 0), (texts, gained)


def test_of_the_better_version_too_it_is_said_how_much_it_keeps():
    said = comparison_sentence(WITH_THEM, compare(version(40, 24), version(56, 14)), str(AT))
    assert said.startswith("With the corrections intent/fm is better on 67 texts: right: +23.9 points (")
    assert "clearly less is kept at keep_at 0.89: -14." in said
    said = comparison_sentence(WITH_THEM, compare(version(56, 14), version(40, 24)), str(AT))
    assert said.startswith("With the corrections intent/fm is worse on 67 texts: right: -23.9 points (")
    assert "clearly more is kept at keep_at 0.89: " in said


def test_a_worse_version_replaces_the_served_one_only_where_the_user_is_asked():
    worse, alike = compare(version(56, 24), version(54, 14)), compare(version(56, 24), version(55, 24))
    check_replaces(Path("fm"), FAIR, alike, unasked=True)
    check_replaces(Path("fm"), FAIR, worse, unasked=False)
    with pytest.raises(SpratError, match="the new version is worse, so fm stays as it is; without --yes you are asked"):
        check_replaces(Path("fm"), FAIR, worse, unasked=True)
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    with pytest.raises(SpratError, match="the new version keeps nothing, so fm stays as it is"):
        check_replaces(Path("fm"), poor, alike, unasked=False)


@pytest.mark.parametrize(
    ("served", "new", "line"),
    [
        ((40, 24), (56, 24), "replace: yes, because with the corrections clearly more texts are right: +23.9"),
        ((56, 24), (40, 24), "replace: no, because with the corrections clearly fewer texts are right: -23.9"),
        (
            (56, 14),
            (55, 24),
            "replace: yes, because with the corrections clearly more that is right is kept at keep_at 0.89: +14.",
        ),
        (
            (56, 24),
            (54, 14),
            "replace: no, because with the corrections clearly less that is right is kept at keep_at 0.89: -14.",
        ),
        ((56, 24), (55, 24), "replace: no, because no difference is shown on 67 texts at keep_at 0.89"),
    ],
)
def test_one_line_says_whether_to_replace_the_served_version_and_why(served, new, line):
    keep_at = KeepAtAdvice("write in policy.yaml: keep_at: 0.60 (now 0.50)", NUMBER)
    advice = advised(FAIR, compare(version(*served), version(*new)), keep_at, AT, NEW)
    assert advice.lines[0].startswith(line)
    command = "`sprat models compare SERVED DIR FILE` on texts of your traffic that neither was trained on"
    step = f"  next: write it with --output DIR, and compare both by {command}: what that shows goes before this "
    step += "comparison"
    written = "  then write in policy.yaml: keep_at: 0.60 (now 0.50)"
    then = [written, f"  {advice.expected}"] if advice.replace else [f"{step}; or try again with more corrections"]
    assert advice.lines[1:] == then


def keeping(right, wrong, texts=300):
    """Return a version that gets 200 texts right, and keeps some of them and some of the others."""
    rights = np.arange(texts) < 200
    keeps = (np.arange(texts) < right) | ((np.arange(texts) >= 200) & (np.arange(texts) < 200 + wrong))
    return VersionAnswers(rights, keeps, rights & keeps, np.zeros(texts, bool))


def test_keeping_more_does_not_speak_for_a_version_of_whose_kept_answers_clearly_fewer_are_right():
    comparison = compare(keeping(100, 3), keeping(120, 40))
    verdict, step = advised(FAIR, comparison).lines
    no = "replace: no, because with the corrections, of those kept at keep_at 0.89, clearly fewer are right: -22.1 "
    assert verdict.startswith(f"{no}points (")
    assert "; though clearly more that is right is kept: +6.7 points (" in verdict
    assert (verdict[:11], step[:16]) == ("replace: no", "  next: write it")
    said = comparison_sentence(WITH_THEM, comparison, str(AT))
    assert "; of those kept, clearly fewer are right: -22.1 points (" in said
    worse = compare(keeping(100, 3), keeping(100, 40))
    verdict, _ = advised(FAIR, worse).lines
    assert verdict.startswith("replace: no, because with the corrections, of those kept at keep_at 0.89, clearly fewer")
    assert comparison_sentence(WITH_THEM, worse, str(AT)).startswith(f"{WITH_THEM} is worse on 300 texts: ")
    with pytest.raises(SpratError, match="the new version is worse"):
        check_replaces(Path("fm"), FAIR, worse, unasked=True)
    fewer_kept = replace(compare(version(40, 24), version(56, 14)), right_of_kept=comparison.right_of_kept)
    assert fewer_kept.keeps == "less"
    (verdict, _) = advised(FAIR, fewer_kept).lines
    assert verdict.startswith("replace: no, because with the corrections clearly less that is right is kept at keep_at")
    assert "; though clearly more texts are right: +23.9" in verdict
    assert "may mend" in said
    assert "may mend" not in comparison_sentence(WITH_THEM, fewer_kept, str(AT))
    more_right = replace(compare(version(40, 24), version(56, 24)), right_of_kept=comparison.right_of_kept)
    (verdict,) = advised(FAIR, more_right).lines
    assert verdict.startswith("replace: yes, because with the corrections clearly more texts are right: +23.9")
    assert "; but of those kept at keep_at 0.89, clearly fewer are right: -22.1 points (" in verdict


def test_what_is_kept_at_a_number_of_another_version_does_not_speak_for_replacing_the_served_one():
    keeps_more, more_right = compare(version(56, 14), version(55, 24)), compare(version(40, 24), version(56, 24))
    of_other = replace(AT, of_version="4b956be4")
    verdict, step = advised(FAIR, keeps_more, at=of_other).lines
    no_more = "replace: no, because with the corrections more right: not shown (-1.5 points ("
    assert verdict.startswith(no_more)
    assert "; clearly more that is right is kept at keep_at 0.89: +14." in verdict
    assert verdict.endswith(", but that number was found for version 4b956be4, not for the served one")
    assert step.startswith("  next: write it with --output DIR")
    assert advised(FAIR, more_right, at=of_other).replace


def test_where_another_keep_at_is_to_be_written_than_that_of_the_comparison_it_is_said_what_to_expect_at_both():
    better, write = compare(version(56, 14), version(55, 24)), KeepAtAdvice("write 0.95", NUMBER)
    expected = "at 0.95 expect it to keep 52.5% of such texts, 90.0% of these right; at 0.89, as compared, 55.5%"
    assert advised(FAIR, better, write).lines[-2:] == ["  then write 0.95", f"  {expected}, 90.0% right"]
    equal = replace(AT, keep_at=0.95)
    for at, keep_at in ((AT, None), (AT, replace(write, number=None)), (equal, write)):
        assert advised(FAIR, better, keep_at, at=at).expected is None


def test_keeping_more_speaks_for_a_version_only_where_it_does_so_at_the_keep_at_that_is_written_then():
    write = KeepAtAdvice("write 0.95", NUMBER)
    keeps_more, more_right = compare(version(56, 14), version(55, 24)), compare(version(40, 24), version(56, 24))
    less, more = compare(version(56, 14), version(55, 8)), compare(version(56, 14), version(55, 22))
    verdict, step = advised(FAIR, keeps_more, write, once_served=less).lines
    would = "its own keep_at, 0.95, is higher and would be written: kept and right at 0.95, against 0.89 now: -9."
    assert verdict.startswith(f"replace: no, because {would}")
    assert "; though with the corrections clearly more that is right is kept at keep_at 0.89: +14." in verdict
    assert step.startswith("  next: write it with --output DIR")
    for comparison, once_served, change in ((keeps_more, more, "+11.9"), (more_right, less, "-9.0")):
        verdict, then, expected = advised(FAIR, comparison, write, once_served=once_served).lines
        assert (verdict[:12], then) == ("replace: yes", "  then write 0.95")
        assert f", 90.0% right; kept and right at 0.95, against 0.89 now: {change} points (" in expected


@pytest.mark.parametrize(("in_force", "raised"), [(0.89, 0.95), (0.95, None), (0.951, None), (0.97, None)])
def test_the_new_versions_own_keep_at_is_looked_at_where_it_is_higher(in_force, raised):
    assert replace(AT, keep_at=in_force).raised_by(NEW) == raised


def test_a_version_that_keeps_nothing_is_not_advised_and_a_keep_at_that_holds_is_not_written():
    poor = Verdict("poor", "", None, (), keep_at_holds=True)
    better = compare(version(40, 24), version(56, 24))
    assert advised(poor, better, None, AT, NEW).lines == ["replace: no, because the new version keeps nothing"]
    good = Verdict("good", "", None, (), keep_at_holds=True)
    assert len(advised(good, better, None, AT, NEW).lines) == 1


def test_a_version_that_keeps_nothing_at_the_keep_at_of_the_comparison_is_not_better_however_many_it_gets_right():
    none_kept = compare(version(40, 24), version(60, 0))
    assert (none_kept.better, none_kept.keeps, none_kept.is_worse) == ("new", "less", True)
    said = advised(FAIR, none_kept, KeepAtAdvice("write 0.95", NUMBER), AT, NEW).lines
    none_of_67 = "replace: no, because at keep_at 0.89 none of 67 texts is kept with the corrections"
    assert said == [f"{none_of_67}; its own keep_at would be 0.95"]
    own = NEW.model_copy(update={"keep_at": 0.89})
    assert advised(FAIR, none_kept, None, AT, own).lines == [none_of_67]
    worse = comparison_sentence(WITH_THEM, none_kept, str(AT))
    assert worse.startswith("With the corrections intent/fm is worse on 67 texts: right: +29.9 points (")
    with pytest.raises(SpratError, match="the new version is worse, so fm stays as it is"):
        check_replaces(Path("fm"), FAIR, none_kept, unasked=True)


@pytest.mark.parametrize(
    ("served", "new", "right", "shows"),
    [
        (56, 55, "83.6% without, 82.1% with the corrections, -1.5", "the interval holds 0, so no difference is shown"),
        (40, 60, "59.7% without, 89.6% with the corrections, +29.9 points (", "more are shown to be right with them"),
        (60, 40, "89.6% without, 59.7% with the corrections, -29.9 points (", "fewer are shown to be right with them"),
    ],
)
def test_where_neither_version_keeps_any_the_texts_are_said_to_show_nothing_and_what_to_do(served, new, right, shows):
    neither = compare(version(served, 0), version(new, 0))
    advice = advised(FAIR, neither, KeepAtAdvice("write 0.95", NUMBER), AT, NEW)
    verdict, accuracy, compares = advice.lines
    assert verdict == (
        "replace: no, because at keep_at 0.89 none of 67 texts is kept, with the corrections or without, so they "
        "show nothing at it; its own keep_at would be 0.95"
    )
    assert accuracy.startswith(f"  next: compare what is right, whatever is kept: {right}")
    assert accuracy.endswith(shows)
    assert "`sprat models compare SERVED DIR FILE`" in compares
    assert advice.verdict_lines == advice.lines
    assert "none is kept at keep_at 0.89" in comparison_sentence(WITH_THEM, neither, str(AT))


def test_the_verdict_turns_with_the_keep_at_in_force():
    """Both get the same texts right. The served version is sure of half of them, the new one fairly sure of all."""
    random, texts = np.random.default_rng(7), 400
    right = random.random(texts) < 0.95
    served = np.concatenate((0.6 + 0.2 * random.beta(2, 2, texts // 2), 0.95 + 0.05 * random.beta(2, 2, texts // 2)))
    new = 0.85 + 0.11 * random.beta(2, 2, texts)

    def judged(confidences, keep_at):
        every, none = np.ones(texts, bool), np.zeros(texts)
        return answers_of(ModelReadings(every, right, none, none, ~every, confidences), keep_at)

    def verdict(keep_at):
        comparison = compare(judged(served, keep_at), judged(new, keep_at))
        return advised(FAIR, comparison, None, ComparedAt(keep_at, "in_force", "the one in force"), NEW).lines[0]

    assert verdict(0.85).startswith(
        "replace: yes, because with the corrections clearly more that is right is kept at keep_at 0.85: +"
    )
    assert verdict(0.95).startswith(
        "replace: no, because with the corrections clearly less that is right is kept at keep_at 0.95: -"
    )


def shown(without, with_them, at=AT, learnt=0, fifths=5, left_out=0, *, served=None, new=NEW) -> str:
    """Return what is said of a comparison of 67 texts, as `version` makes it."""
    compared = ComparedTrainings(compare(version(*without), version(*with_them)), 6, fifths, left_out)
    made = NewVersion(trained(new=new), compared, at)
    config = TrainingConfig(files=(Path("fm.csv"), Path("fm-corrections.jsonl")), output=Path(), name="fm")
    return "\n".join(summary_lines(Retrained(MODEL, served or card(), made, learnt, config, Added(9, 9, 9), Counter())))


def test_it_is_said_what_is_compared_and_on_which_texts():
    said = shown((56, 24), (55, 24))
    of = f"that the served version, {card().version}, has not learnt: two trainings like it, one without and one with "
    assert f"\nWhat the 9 corrections bring {of}them.\n" in said
    assert (
        "\nCompared on 67 texts, 6 of them outside every label: each fifth of the texts in turn is held out from both, "
        "at keep_at 0.89, the one in force (tasks.intent.models.fm.keep_at in policy.yaml)\n"
    ) in said
    one = shown((56, 24), (55, 24), learnt=8, fifths=1)
    assert f"\nWhat the 1 correction brings {of}it; both have the 8 corrections learnt before.\n" in one
    assert "outside every label: a fifth of the texts is held out from both, at keep_at 0.89" in one
    some = shown((56, 24), (55, 24), fifths=3, left_out=2)
    assert "outside every label: 3 of 5 fifths of the texts, one at a time, are held out from both, at" in some


def rows_kept(said: str) -> list[list[str]]:
    """Return the cells of the table of what is kept."""
    lines = said.splitlines()
    head = next(number for number, line in enumerate(lines) if "RIGHT OF THOSE KEPT" in line)
    return [re.split(r" {2,}", line.strip()) for line in lines[head + 1 :] if line]


def test_what_is_kept_stands_in_one_table_by_the_cards_and_at_the_keep_at_in_force():
    scores = tuple(
        Score(name=f"cross_validated_{name}", value=value, protocol="x")
        for name, value in (("kept_share", 0.4), ("kept_right", 0.98), ("kept_right_low", 0.92))
    )
    served = card().model_copy(update={"keep_at": 0.9, "scores": scores})
    new = NEW.model_copy(update={"keep_at_rule": PROVISIONAL})
    said = shown((56, 24), (55, 24), served=served, new=new)
    assert rows_kept(said) == [
        ["new, by its card", "0.95 provisional", "52.5%", "90.0% (80.0% to 95.0%)"],
        ["new, in force", "0.89", "55.5%", "90.0% (80.0% to 95.0%)"],
    ]
    equal_now = shown((56, 24), (55, 24), at=replace(AT, keep_at=0.9), served=served, new=new)
    assert rows_kept(equal_now)[0] == ["served, by its own training", "0.90", "40.0%", "98.0% (from 92.0%)"]
    assert (
        "\nThe new version is trained on all 300 texts and 0 outside every label. What to expect of texts like these, "
        "10% of them outside every label (whether the corrections help, the table above says: each training there "
        "lacked a fifth of the texts, and counted the texts outside as they are in the files; a difference here may be "
        "chance):\n"
    ) in said
    by_card = shown((56, 24), (55, 24), at=replace(AT, origin="served_card"), new=new)
    assert [row[0] for row in rows_kept(by_card)] == ["new, by its card", "new, as compared"]
    equal = shown((56, 24), (55, 24), at=replace(AT, keep_at=0.95), new=new)
    assert [row[0] for row in rows_kept(equal)] == ["new, by its card"]


def test_the_served_version_that_comes_out_again_is_refused_also_where_only_its_record_is_another():
    served = card().model_copy(update={"files": {"head.npz": "1" * 64, RECORD: "2" * 64}})
    with pytest.raises(
        SpratError,
        match=f"the same version comes out: there is nothing new to learn; fm stays as it is, version {served.version}",
    ):
        check_is_new(Path("fm"), served, served)
    alike = served.model_copy(update={"version": "f" * 16, "files": {"head.npz": "1" * 64, RECORD: "3" * 64}})
    with pytest.raises(SpratError, match="comes out, as what is new in the files changes nothing in it: there is"):
        check_is_new(Path("fm"), served, alike)
    check_is_new(Path("fm"), served, alike.model_copy(update={"files": {"head.npz": "4" * 64}}))
    check_is_new(Path("fm"), served, alike.model_copy(update={"keep_at": 0.97}))


def test_figures_of_sets_are_of_a_version_with_several_labels_a_text():
    sets = SetFigures(1, Interval(1, 0, 1), 1, 1, 0, CURVE, ())
    several = replace(trained(), figures=sets)
    assert (several.several, several.outside_share) == (True, 0)
    assert (trained().several, trained().outside_share) == (False, 0.1)
